//! What a parameter is: its name, kind, bounds, default and state; and the macro that declares them.
//!
//! The declarations are in `params/`, one file for each area. A declaration makes two things: an [`Entry`] in
//! the registry, from which postconf(1), the manual and the compatibility report are made, and a typed handle
//! ([`Param`]) of the same name, with which the program reads the value from [`crate::Settings`].

use std::marker::PhantomData;
use std::time::Duration;

use crate::params::AreaId;

/// What is known of one main.cf parameter.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// The name, as main.cf spells it.
    pub name: &'static str,
    /// What it is for, in one sentence.
    pub meaning: &'static str,
    /// How its text is read, and within which bounds.
    pub rule: Rule,
    /// What holds when neither main.cf nor master.cf say anything.
    pub default: Default,
    /// Whether setting it does what postconf(5) says.
    pub state: State,
}

/// How the text of a parameter becomes its value.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// The kind of value.
    pub kind: Kind,
    /// Least number, seconds or characters; 0 means that nothing is checked, as Postfix has it.
    pub min: i64,
    /// Greatest number, seconds or characters; 0 means that nothing is checked.
    pub max: i64,
    /// The unit of a time that is written without one: `s`, `m`, `h`, `d` or `w`.
    pub unit: char,
    /// What a text is made of.
    pub form: Form,
}

impl Rule {
    /// No bounds, seconds, any text.
    pub(crate) const ANY: Rule = Rule { kind: Kind::Text, min: 0, max: 0, unit: 's', form: Form::Any };
}

/// The kinds of values that postconf(5) knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `yes` or `no`.
    Bool,
    /// As `Bool`; the default is an expression.
    NBool,
    /// A decimal number of 32 bits.
    Int,
    /// As `Int`; the default is an expression.
    NInt,
    /// A decimal number of 64 bits.
    Long,
    /// A number and a unit.
    Time,
    /// Text in which `$name` is replaced when it is read.
    Text,
    /// Text in which `$name` is replaced only when it is used.
    Raw,
}

/// What a text is made of. Nothing but the bounds of its length is checked when it is read: a
/// wrong word is a matter for the service that uses it, and for the compatibility report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Free text.
    Any,
    /// A list separated by comma or white space.
    List,
    /// Host, network, domain and address patterns, tables and files of patterns.
    Patterns,
    /// One lookup table, `type:name`.
    Table,
    /// Lookup tables, searched in order.
    Tables,
    /// A restriction list of smtpd(8).
    Restrictions,
    /// The name of a file.
    File,
    /// Names of files.
    Files,
    /// The name of a directory.
    Directory,
    /// The name of a master.cf service.
    Service,
    /// `transport` or `transport:nexthop`.
    Transport,
    /// Versions of TLS, as in `>=TLSv1.2, !TLSv1.3`.
    Protocols,
    /// A cipher list of OpenSSL.
    CipherList,
    /// The name of a message digest.
    Digest,
    /// A level from 0 to 9, or names of what to log.
    LogLevels,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Any of these words.
    SetOf(&'static [&'static str]),
}

/// The value of a parameter that nobody sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Default {
    /// Text, which may refer to other parameters.
    Text(&'static str),
    /// Made from what the machine and the process are.
    Host(HostValue),
}

/// Defaults that are computed from [`crate::HostFacts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostValue {
    /// The fully qualified name of this machine.
    Myhostname,
    /// `myhostname` without its first label.
    Mydomain,
    /// The networks of this machine, according to `mynetworks_style`.
    Mynetworks,
    /// The number of the process.
    ProcessId,
    /// The name of the program.
    ProcessName,
    /// The name of the master.cf service.
    ServiceName,
    /// The curves that are offered when OpenSSL does not know better.
    EecdhAutoCurves,
    /// The finite-field groups, likewise.
    FfdheAutoGroups,
}

/// Whether setting a parameter has the effect that postconf(5) promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It does what the manual says.
    Works,
    /// It may be set, but has no effect here, and needs none: why.
    Accepted(&'static str),
    /// It may not be set: why.
    Refused(&'static str),
}

/// One file of declarations.
#[derive(Debug)]
pub struct Area {
    /// What its parameters are about.
    pub title: &'static str,
    /// The parameters, by name.
    pub entries: &'static [Entry],
}

/// A typed handle: which parameter, and as what it is read.
#[derive(Debug)]
pub struct Param<K> {
    pub(crate) area: AreaId,
    pub(crate) index: usize,
    kind: PhantomData<K>,
}

impl<K> Clone for Param<K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for Param<K> {}

impl<K> Param<K> {
    pub(crate) const fn new(area: AreaId, index: usize) -> Param<K> {
        Param { area, index, kind: PhantomData }
    }

    /// The registry's entry of this parameter.
    pub fn entry(self) -> &'static Entry {
        &self.area.area().entries[self.index]
    }

    /// The name, as main.cf spells it.
    pub fn name(self) -> &'static str {
        self.entry().name
    }
}

/// An evaluated parameter: text and number at once, so that no kind of handle can find the other missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// The text: expanded, but for `Raw`.
    pub(crate) text: Box<str>,
    /// Number, seconds, or 1 for `yes`; 0 for texts.
    pub(crate) number: i64,
}

/// What a kind of parameter is read as. Implemented by the types in [`kind`] only.
pub trait ReadAs {
    /// The type of the value.
    type Value<'a>;

    /// The value in its type.
    fn read(value: &Value) -> Self::Value<'_>;
}

/// One type for each [`Kind`], to say in a handle's type as what it is read.
pub mod kind {
    /// Read as `bool`.
    #[derive(Debug)]
    pub struct Bool;
    /// Read as `bool`.
    #[derive(Debug)]
    pub struct NBool;
    /// Read as `i64`.
    #[derive(Debug)]
    pub struct Int;
    /// Read as `i64`.
    #[derive(Debug)]
    pub struct NInt;
    /// Read as `i64`.
    #[derive(Debug)]
    pub struct Long;
    /// Read as `Duration`.
    #[derive(Debug)]
    pub struct Time;
    /// Read as `&str`, expanded.
    #[derive(Debug)]
    pub struct Text;
    /// Read as `&str`, not expanded.
    #[derive(Debug)]
    pub struct Raw;
}

macro_rules! read_as {
    ($($kind:ident: $type:ty, $value:ident => $read:expr;)*) => {
        $(impl ReadAs for kind::$kind {
            type Value<'a> = $type;

            fn read($value: &Value) -> Self::Value<'_> {
                $read
            }
        })*
    };
}

read_as! {
    Bool: bool, value => value.number != 0;
    NBool: bool, value => value.number != 0;
    Int: i64, value => value.number;
    NInt: i64, value => value.number;
    Long: i64, value => value.number;
    // Times are checked to be 0 or more when they are read.
    Time: Duration, value => Duration::from_secs(value.number.unsigned_abs());
    Text: &'a str, value => &value.text;
    Raw: &'a str, value => &value.text;
}

/// Declares the parameters of one area:
///
/// ```text
/// params! { area, "title";
///     /// What it is for.
///     name: Kind(bound: value, ...) = default, State;
/// }
/// ```
///
/// A name that is no Rust name is spelled after `as`. The default is a text, or the name of a [`HostValue`].
macro_rules! params {
    ($area:ident, $title:literal; $(
        #[doc = $meaning:literal]
        $name:ident $(as $spelled:literal)? : $kind:ident $(($($what:ident: $bound:expr),+))?
            = $default:tt, $state:ident $(($why:literal))?;
    )*) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        enum Index { $($name),* }

        $(
            #[doc = $meaning]
            #[allow(non_upper_case_globals)]
            pub const $name: $crate::param::Param<$crate::param::kind::$kind> =
                $crate::param::Param::new(super::AreaId::$area, Index::$name as usize);
        )*

        pub(super) static AREA: $crate::param::Area = $crate::param::Area {
            title: $title,
            entries: &[$($crate::param::Entry {
                name: $crate::param::spelling!($name $($spelled)?),
                meaning: $meaning.trim_ascii(),
                rule: {
                    #[allow(unused_imports)]
                    use $crate::param::Form::*;
                    #[allow(clippy::needless_update)]
                    $crate::param::Rule {
                        kind: $crate::param::Kind::$kind,
                        $($($what: $bound,)+)?
                        ..$crate::param::Rule::ANY
                    }
                },
                default: $crate::param::default!($default),
                state: $crate::param::State::$state $(($why))?,
            }),*],
        };
    };
}

macro_rules! spelling {
    ($name:ident) => {
        stringify!($name)
    };
    ($name:ident $spelled:literal) => {
        $spelled
    };
}

macro_rules! default {
    ($text:literal) => {
        $crate::param::Default::Text($text)
    };
    ($name:ident) => {
        $crate::param::Default::Host($crate::param::HostValue::$name)
    };
}

pub(crate) use {default, params, spelling};
