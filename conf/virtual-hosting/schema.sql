CREATE TABLE domains (name text PRIMARY KEY);
CREATE TABLE users (
    address text PRIMARY KEY CHECK (address = lower(address)),
    -- In Dovecot's form, {SCHEME}...: `doveadm pw`.
    password text NOT NULL
);
-- One row for each address that an alias goes to.
CREATE TABLE aliases (
    address text NOT NULL CHECK (address = lower(address)),
    goto text NOT NULL,
    PRIMARY KEY (address, goto)
);

INSERT INTO domains VALUES ('hosting.test'), ('second.test');
INSERT INTO users VALUES ('alice@hosting.test', :'hash'), ('bob@hosting.test', :'hash'), ('carol@second.test', :'hash');
INSERT INTO aliases VALUES
    ('info@hosting.test', 'alice@hosting.test'), ('info@hosting.test', 'carol@second.test'),
    ('postmaster@hosting.test', 'alice@hosting.test');

CREATE ROLE mailreader LOGIN PASSWORD :'password';
GRANT SELECT ON domains, users, aliases TO mailreader;
