import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import {
  AuthenticationError,
  HeddleError,
  heddleError,
  InvalidArgumentError,
  type Logger,
  type Role,
} from "@heddle/kernel";
import type { TlsFiles } from "@heddle/port-rpc";
import { partyIn } from "./caller-of.ts";
import { CHAIN_CERTIFICATES_MAX, TLS_FILE_BYTES_MAX, TLS_POLL_MS } from "./limits.ts";
import { TlsWarnings } from "./tls-warnings.ts";

/** What proves who this party is, and whom it believes: three files that fit together. PEM. */
export interface TlsIdentity {
  readonly ca: Buffer;
  readonly cert: Buffer;
  readonly key: Buffer;
  /** What the certificate says. */
  readonly role: Role;
  readonly name: string;
  /** When the certificate begins to be good, and when it runs out, in milliseconds of the Unix epoch. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** The latest good identity in the files. */
export interface TlsMaterial extends Disposable {
  readonly current: TlsIdentity;
  /** Called at each change, until the material is disposed. */
  onChange(listen: () => void): void;
}

/** How the files are watched. */
export interface WatchTlsOptions {
  readonly log: Logger;
  /** Time between two looks at the files. Default TLS_POLL_MS. */
  readonly pollMs?: number;
  /** Whose files they are: a server's or an agent's are warned of before they run out, and when others can read the key. An agent's unless given. */
  readonly isServer?: boolean;
}

/**
 * Reads the files now and again and again: a change is taken up when all three fit together and refused with a line of the log, the last
 * good ones kept, while they do not. The watching keeps no process alive; disposing ends it.
 * Throws InvalidArgumentError for a file that cannot be read or is none of its kind, AuthenticationError for files that prove nothing
 * now: both name the file and say what to do.
 */
export function watchTls(files: TlsFiles, options: WatchTlsOptions): TlsMaterial {
  return new WatchedFiles(files, options);
}

interface Contents {
  readonly ca: Buffer;
  readonly cert: Buffer;
  readonly key: Buffer;
}

class WatchedFiles implements TlsMaterial {
  readonly #files: TlsFiles;
  readonly #log: Logger;
  readonly #timer: NodeJS.Timeout;
  readonly #isServer: boolean;
  readonly #warnings: TlsWarnings;
  readonly #listeners = new Set<() => void>();
  #current: TlsIdentity;
  /** Why the files are refused, so that it is said once; undefined while they are good. */
  #refused: string | undefined;
  #isLooking = false;

  constructor(files: TlsFiles, options: WatchTlsOptions) {
    this.#files = files;
    this.#log = options.log;
    this.#isServer = options.isServer ?? false;
    this.#warnings = new TlsWarnings(files, options.log);
    this.#current = firstIdentity(files);
    if (this.#isWarned(this.#current)) this.#warnings.taken(this.#current, Date.now());
    this.#timer = setInterval(() => void this.#look(), options.pollMs ?? TLS_POLL_MS).unref();
  }

  get current(): TlsIdentity {
    return this.#current;
  }

  onChange(listen: () => void): void {
    this.#listeners.add(listen);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#listeners.clear();
  }

  /** What is there is compared as bytes: links that are swapped, times that are set back and writes in place all count. */
  async #look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    try {
      const contents = await readAllSoon(this.#files);
      const identity = identityIn(this.#files, contents, Date.now()); // what has not changed may have run out
      if (!isSame(contents, this.#current)) this.#publish(identity);
      else if (this.#refused !== undefined) this.#log.info("tls files are good again");
      this.#refused = undefined;
      if (this.#isWarned(identity)) this.#warnings.looked(identity, Date.now());
    } catch (error) {
      if (!(error instanceof HeddleError)) throw error;
      if (this.#refused !== error.message) this.#log.error("tls files refused", { why: error.message });
      this.#refused = error.message;
    } finally {
      this.#isLooking = false;
    }
  }

  /** A server's own client shows the same files, and what programs of people show is theirs to look after. */
  #isWarned({ role }: TlsIdentity): boolean {
    return this.#isServer || role === "agent";
  }

  #publish(identity: TlsIdentity): void {
    this.#current = identity;
    if (this.#isWarned(identity)) this.#warnings.taken(identity, Date.now());
    const notAfter = new Date(identity.notAfterMs).toISOString();
    this.#log.info("tls files reloaded", { role: identity.role, name: identity.name, notAfter });
    for (const listen of this.#listeners) listen();
  }
}

function isSame(contents: Contents, { ca, cert, key }: TlsIdentity): boolean {
  return contents.ca.equals(ca) && contents.cert.equals(cert) && contents.key.equals(key);
}

function readAll({ caFile, certFile, keyFile }: TlsFiles): Contents {
  const read = (file: string): Buffer => {
    try {
      return readFileSync(file);
    } catch (error) {
      throw unreadable(file, error);
    }
  };
  return { ca: read(caFile), cert: read(certFile), key: read(keyFile) };
}

async function readAllSoon({ caFile, certFile, keyFile }: TlsFiles): Promise<Contents> {
  const read = async (file: string): Promise<Buffer> => {
    try {
      return await readFile(file);
    } catch (error) {
      throw unreadable(file, error);
    }
  };
  const [ca, cert, key] = await Promise.all([read(caFile), read(certFile), read(keyFile)]);
  return { ca, cert, key };
}

function unreadable(file: string, error: unknown): InvalidArgumentError {
  const words = error instanceof Error ? error.message : String(error);
  return new InvalidArgumentError(`cannot read the TLS file ${file}: ${words}`, { cause: error });
}

/** The same at a start, where it may be news which files are meant. */
function firstIdentity(files: TlsFiles): TlsIdentity {
  try {
    return identityIn(files, readAll(files), Date.now());
  } catch (error) {
    if (!(error instanceof HeddleError) || files.namedBy === undefined) throw error;
    throw heddleError(error.code, `${error.message} (the environment names this file by ${files.namedBy})`, {
      cause: error.cause,
    });
  }
}

/** The identity in the files. Throws InvalidArgumentError or AuthenticationError that name the file that is wrong. */
function identityIn(files: TlsFiles, contents: Contents, nowMs: number): TlsIdentity {
  const authorities = certificatesIn(files.caFile, contents.ca);
  const [leaf, ...between] = certificatesIn(files.certFile, contents.cert);
  const key = keyIn(files.keyFile, contents.key);
  if (leaf === undefined) throw new InvalidArgumentError(`${files.certFile} holds no certificate`);
  if (!leaf.checkPrivateKey(key)) {
    throw new AuthenticationError(
      `the key in ${files.keyFile} is not that of the certificate in ${files.certFile}: both must be of one pair`,
    );
  }
  checkDates(files.certFile, leaf, nowMs);
  checkIssued(files, leaf, between, authorities, nowMs);
  try {
    return {
      ...contents,
      ...partyIn(leaf.subjectAltName),
      notBeforeMs: Date.parse(leaf.validFrom),
      notAfterMs: Date.parse(leaf.validTo),
    };
  } catch (error) {
    if (!(error instanceof AuthenticationError)) throw error;
    throw new AuthenticationError(`${files.certFile}: ${error.message}; heddle certs makes such ones`, {
      cause: error,
    });
  }
}

function certificatesIn(file: string, pem: Buffer): X509Certificate[] {
  if (pem.length > TLS_FILE_BYTES_MAX) {
    throw new InvalidArgumentError(`${file} has ${pem.length} bytes, a TLS file at most ${TLS_FILE_BYTES_MAX}`);
  }
  const blocks = pem.toString("latin1").match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) throw new InvalidArgumentError(`${file} holds no certificate in PEM form`);
  if (blocks.length > CHAIN_CERTIFICATES_MAX) {
    throw new InvalidArgumentError(
      `${file} holds ${blocks.length} certificates, at most ${CHAIN_CERTIFICATES_MAX} can be`,
    );
  }
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch (error) {
    throw new InvalidArgumentError(`${file} holds a certificate that cannot be read`, { cause: error });
  }
}

function keyIn(file: string, pem: Buffer): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (error) {
    // What OpenSSL says may show a piece of what it was given.
    throw new InvalidArgumentError(`${file} holds no private key in PEM form that can be used without a passphrase`, {
      cause: error,
    });
  }
}

function checkDates(file: string, certificate: X509Certificate, nowMs: number): void {
  if (Date.parse(certificate.validTo) <= nowMs) {
    throw new AuthenticationError(
      `the certificate of ${shownSubject(certificate)} in ${file} has expired on ${certificate.validTo}: make a new one`,
    );
  }
  if (Date.parse(certificate.validFrom) > nowMs) {
    throw new AuthenticationError(
      `the certificate of ${shownSubject(certificate)} in ${file} is valid from ${certificate.validFrom} on only: is the clock right?`,
    );
  }
}

/** Walks from the certificate up to an authority. */
function checkIssued(
  files: TlsFiles,
  leaf: X509Certificate,
  between: readonly X509Certificate[],
  authorities: readonly X509Certificate[],
  nowMs: number,
): void {
  let issued = leaf;
  for (let steps = 0; steps <= between.length; steps++) {
    const child = issued;
    const authority = authorities.find((one) => isIssuer(one, child));
    if (authority !== undefined) return checkDates(files.caFile, authority, nowMs);
    const next = between.find((one) => one !== child && isIssuer(one, child));
    if (next === undefined) break;
    checkDates(files.certFile, next, nowMs);
    issued = next;
  }
  throw new AuthenticationError(
    `the certificate in ${files.certFile} does not come from an authority in ${files.caFile}: ${shownSubject(issued)} was issued by ` +
      `${issued.issuer.replaceAll("\n", ", ")}`,
  );
}

function isIssuer(authority: X509Certificate, issued: X509Certificate): boolean {
  return authority.ca && issued.checkIssued(authority) && issued.verify(authority.publicKey);
}

function shownSubject({ subject, subjectAltName }: X509Certificate): string {
  return subject?.replaceAll("\n", ", ") || (subjectAltName ?? "nobody");
}
