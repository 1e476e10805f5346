//! Parameters that Postfix does not have. Each is off or empty by default, so that an unchanged configuration acts as it does
//! there; postconf(1) shows one only where it is set. Postfix warns of them as unused, and goes on.

use crate::param::params;

params! { mailclad, "What Postfix does not have";
    /// Authorities of Web servers, and of mail servers under MTA-STS, in place of the system's.
    https_CAfile: Text(form: File) = "", Works;

    /// Whether the SMTP client goes by the policies that domains publish for MTA-STS (RFC 8461).
    smtp_tls_mta_sts: Bool = "no", Works;

    /// The port that policies of MTA-STS are fetched from.
    smtp_tls_mta_sts_port: Int(min: 1, max: 65535) = "443", Works;

    /// What the issuer of tokens calls this server (`aud`): tokens for others are refused.
    smtpd_sasl_oauth_audience: Text = "", Works;

    /// Whose tokens clients may log in with (`iss`), where `smtpd_sasl_type` is `mailclad`; empty for nobody's.
    smtpd_sasl_oauth_issuer: Text = "", Works;

    /// The keys of the issuer: a file, or an https: address, of a JSON Web Key Set (RFC 7517).
    smtpd_sasl_oauth_keys: Text = "", Works;

    /// What tokens have to be good for (`scope`), words separated by blanks.
    smtpd_sasl_oauth_scope: Text = "", Works;

    /// The claim of a token that names its owner.
    smtpd_sasl_oauth_user_claim: Text(min: 1) = "email", Works;

    /// The From: address of TLSRPT reports, where their readers may write to.
    tlsrpt_from: Text(min: 1) = "postmaster@$mydomain", Works;

    /// Who sends TLSRPT reports, in a report's words.
    tlsrpt_organization_name: Text(min: 1) = "$mydomain", Works;

    /// Whether results of TLS are counted, and daily reports sent to domains that ask for them (RFC 8460).
    tlsrpt_reports: Bool = "no", Works;
}
