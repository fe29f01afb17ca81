import { type KeyObject, randomBytes, type webcrypto } from "node:crypto";
import { InvalidArgumentError, type Role, roles, StateError, unreachable } from "@heddle/kernel";
import { hostsOf } from "./hosts.ts";
import { createKeys, keyFits, keyPemOf, signing, signingKeyIn } from "./keys.ts";
import { AUTHORITY_DAYS, CLOCK_DIFFERENCE_MS, DAY_MS, DAYS_MAX, IDENTITY_DAYS } from "./limits.ts";
import { certificatesIn, partyUri, readCertificate } from "./read-certificate.ts";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type JsonGeneralName,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from "./x509.ts";

export interface AuthorityOptions {
  /** How people tell authorities apart: 1-64 of letters, digits, space, ".", "_" and "-". "heddle authority" and a random number by default. */
  readonly name?: string;
  /** AUTHORITY_DAYS by default. */
  readonly days?: number;
  /** A few minutes ago by default, as clocks differ. */
  readonly notBefore?: Date;
}

export interface IdentityRequest {
  readonly role: Role;
  /** Who this is within the role, as logs will name it: 1-63 of a-z, 0-9 and "-". The role's name by default. */
  readonly name?: string;
  /** Host names and IP addresses by which it will be dialled. Those of its own machine are always among a server's. */
  readonly hosts?: readonly string[];
  /** IDENTITY_DAYS by default; no longer than the authority in any case. */
  readonly days?: number;
  /** A few minutes ago by default, as clocks differ. */
  readonly notBefore?: Date;
}

/** What one party has, as texts in PEM. */
export interface Identity {
  /** Its certificate. */
  readonly certPem: string;
  /** Its private key. */
  readonly keyPem: string;
  /** Certificates of the authorities that it believes. */
  readonly caPem: string;
}

/** What signs the certificates of a fabric's parties. Whoever has its key can be anybody in that fabric. */
export interface Authority {
  readonly certPem: string;
  readonly keyPem: string;
  /**
   * A new key with a certificate for it. Rejects with InvalidArgumentError for a role, name, host or number of days that cannot be, and
   * with StateError when the authority is no longer good itself.
   */
  readonly issue: (request: IdentityRequest) => Promise<Identity>;
}

/** A new authority, which only signs parties: what it signs can sign nothing. Rejects with InvalidArgumentError. */
export async function createAuthority(options: AuthorityOptions = {}): Promise<Authority> {
  const name = `CN=${authorityName(options.name)}, O=heddle`;
  const { publicKey, privateKey } = await createKeys();
  const extensions = [
    new BasicConstraintsExtension(true, 0, true),
    new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
    await SubjectKeyIdentifierExtension.create(cryptoKey(publicKey)),
  ];
  const certificate = await X509CertificateGenerator.createSelfSigned({
    ...{ name, extensions, signingAlgorithm: signing },
    ...validity(options, AUTHORITY_DAYS),
    keys: { publicKey: cryptoKey(publicKey), privateKey: cryptoKey(privateKey) },
  });
  return new KeyAuthority(certificate, privateKey);
}

/** The authority that a certificate and its key are. Throws InvalidArgumentError when they are none, or do not belong together. */
export function authorityOf(certPem: string, keyPem: string): Authority {
  const [first = ""] = certificatesIn(certPem);
  if (!readCertificate(first).isAuthority) throw new InvalidArgumentError("the certificate is not an authority's");
  const key = signingKeyIn(keyPem);
  if (!keyFits(first, keyPem)) throw new InvalidArgumentError("the key is not that of the authority's certificate");
  return new KeyAuthority(new X509Certificate(first), key);
}

class KeyAuthority implements Authority {
  readonly certPem: string;
  readonly #certificate: X509Certificate;
  readonly #key: KeyObject;

  constructor(certificate: X509Certificate, key: KeyObject) {
    this.certPem = pemOf(certificate);
    this.#certificate = certificate;
    this.#key = key;
  }

  get keyPem(): string {
    return keyPemOf(this.#key);
  }

  async issue(request: IdentityRequest): Promise<Identity> {
    const { role } = request;
    if (!roles.includes(role))
      throw new InvalidArgumentError(`there is no role ${JSON.stringify(role)}: say ${roles.join(", ")}`);
    const name = identityName(request.name ?? role);
    const names = namesOf(role, name, hostsOf(role, request.hosts ?? []));
    const dates = this.#within(validity(request, IDENTITY_DAYS));
    const { publicKey, privateKey } = await createKeys();
    const certificate = await X509CertificateGenerator.create({
      ...dates,
      subject: `CN=${name}, OU=${role}, O=heddle`,
      issuer: this.#certificate.subjectName,
      publicKey: cryptoKey(publicKey),
      signingKey: cryptoKey(this.#key),
      signingAlgorithm: signing,
      extensions: [
        new BasicConstraintsExtension(false, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        new ExtendedKeyUsageExtension(purposes(role)),
        new SubjectAlternativeNameExtension(names),
        await SubjectKeyIdentifierExtension.create(cryptoKey(publicKey)),
        await AuthorityKeyIdentifierExtension.create(this.#certificate.publicKey),
      ],
    });
    return { certPem: pemOf(certificate), keyPem: keyPemOf(privateKey), caPem: this.certPem };
  }

  /** Nobody would believe a certificate for longer than its authority. */
  #within(wanted: Validity): Validity {
    const { notAfter: end, subject } = this.#certificate;
    if (end.getTime() <= Math.max(Date.now(), wanted.notBefore.getTime()))
      throw new StateError(`the authority (${subject}) expired at ${end.toISOString()}: make a new one`);
    return { ...wanted, notAfter: new Date(Math.min(wanted.notAfter.getTime(), end.getTime())) };
  }
}

/** Parses the name of an identity; throws InvalidArgumentError that shows the text. */
function identityName(raw: string): string {
  if (/^[a-z0-9-]{1,63}$/.test(raw)) return raw;
  throw new InvalidArgumentError(`${JSON.stringify(raw.slice(0, 200))} is not a name (1-63 of a-z, 0-9 and -)`);
}

function authorityName(given: string | undefined): string {
  const name = given ?? `heddle authority ${randomBytes(4).toString("hex")}`;
  if (/^[A-Za-z0-9._-]([A-Za-z0-9 ._-]{0,62}[A-Za-z0-9._-])?$/.test(name)) return name;
  throw new InvalidArgumentError(
    `${JSON.stringify(name.slice(0, 200))} is not an authority's name (1-64 letters, digits, spaces, '.', '_' and '-')`,
  );
}

interface Validity {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/** Whole seconds, as certificates have them; the days count from the moment that was asked for, not from the minutes before. */
function validity(asked: { readonly days?: number; readonly notBefore?: Date }, daysOtherwise: number): Validity {
  const days = asked.days ?? daysOtherwise;
  if (!Number.isInteger(days) || days < 1 || days > DAYS_MAX)
    throw new InvalidArgumentError(`a certificate is good for 1 to ${DAYS_MAX} whole days, not ${days}`);
  const second = (ms: number): Date => new Date(Math.floor(ms / 1_000) * 1_000);
  const fromMs = asked.notBefore?.getTime() ?? Date.now();
  const notBefore = second(asked.notBefore === undefined ? fromMs - CLOCK_DIFFERENCE_MS : fromMs);
  return { notBefore, notAfter: second(fromMs + days * DAY_MS) };
}

function namesOf(role: Role, name: string, hosts: readonly string[]): JsonGeneralName[] {
  const host = (value: string): JsonGeneralName => ({ type: isAddress(value) ? "ip" : "dns", value });
  return [{ type: "url", value: partyUri(role, name) }, ...hosts.map(host)];
}

/** Of a host as `hostIn` writes it. */
function isAddress(host: string): boolean {
  return host.includes(":") || /^[\d.]+$/.test(host);
}

/** What its owner may prove with it: who it is as it dials, who it is as it is dialled. */
function purposes(role: Role): string[] {
  const { clientAuth, serverAuth } = ExtendedKeyUsage;
  switch (role) {
    case "client":
    case "agent":
    case "admin":
      return [clientAuth];
    case "coordinator":
    case "manager":
      return [serverAuth, clientAuth];
    default:
      return unreachable(role);
  }
}

function cryptoKey(key: KeyObject): webcrypto.CryptoKey {
  return key.toCryptoKey(signing, true, [key.type === "private" ? "sign" : "verify"]);
}

function pemOf(certificate: X509Certificate): string {
  return `${certificate.toString("pem")}\n`;
}
