import { X509Certificate as NodeCertificate } from "node:crypto";
import { InvalidArgumentError, type Role, roles } from "@heddle/kernel";
import { hostIn } from "./hosts.ts";
import {
  BasicConstraintsExtension,
  type JsonGeneralName,
  SubjectAlternativeNameExtension,
  X509Certificate,
} from "./x509.ts";

/** What a certificate says. */
export interface CertificateFacts {
  /** Undefined: it gives its owner no part in a fabric, as an authority's. */
  readonly role: Role | undefined;
  /** Its owner's name within the role; without a role, the common name. */
  readonly name: string;
  /** Names and IP addresses by which its owner may be dialled. */
  readonly hosts: readonly string[];
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** The common name of the authority that signed it. */
  readonly issuer: string;
  /** In hex digits. */
  readonly serial: string;
  /** SHA-256 of the certificate, in pairs of hex digits with colons between them. */
  readonly fingerprint: string;
  /** Whether it may sign others. */
  readonly isAuthority: boolean;
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** What the first certificate of a PEM text says; nothing is verified. Throws InvalidArgumentError when there is none. */
export function readCertificate(pem: string): CertificateFacts {
  const [first = ""] = certificatesIn(pem);
  const node = new NodeCertificate(first);
  const certificate = new X509Certificate(first);
  const names =
    certificate.getExtension(SubjectAlternativeNameExtension)?.names.items.map((each) => each.toJSON()) ?? [];
  const party = partyIn(names);
  return {
    role: party?.role,
    name: party?.name ?? commonName(certificate.subjectName.getField("CN")),
    hosts: names.filter(({ type }) => type === "dns" || type === "ip").map(({ value }) => shownHost(value)),
    notBefore: certificate.notBefore,
    notAfter: certificate.notAfter,
    issuer: commonName(certificate.issuerName.getField("CN")),
    serial: certificate.serialNumber,
    fingerprint: node.fingerprint256,
    isAuthority: certificate.getExtension(BasicConstraintsExtension)?.ca === true,
  };
}

/** The certificates of a PEM text, in order, each as a text of its own. Throws InvalidArgumentError when there is none, or one is broken. */
export function certificatesIn(pem: string): string[] {
  const found = pem.match(CERTIFICATE) ?? [];
  if (found.length === 0) throw new InvalidArgumentError("there is no certificate in PEM");
  for (const each of found) {
    try {
      new NodeCertificate(each);
    } catch (cause) {
      throw new InvalidArgumentError("the certificate in PEM is broken", { cause });
    }
  }
  return found;
}

/**
 * Whether the first certificate of a PEM text comes from one of the authorities of another: signed by it, or by one that follows in the
 * first text and comes from it so.
 */
export function isIssuedBy(certPem: string, caPem: string): boolean {
  const authorities = certificatesIn(caPem).map((each) => new NodeCertificate(each));
  let [issued, ...between] = certificatesIn(certPem).map((each) => new NodeCertificate(each));
  while (issued !== undefined) {
    const child: NodeCertificate = issued;
    if (authorities.some((each) => isIssuer(each, child))) return true;
    issued = between.find((each) => isIssuer(each, child));
    between = between.filter((each) => each !== issued); // so that two that signed each other are no way without an end
  }
  return false;
}

function isIssuer(authority: NodeCertificate, issued: NodeCertificate): boolean {
  return authority.ca && issued.checkIssued(authority) && issued.verify(authority.publicKey);
}

/** Where a certificate has who its owner is. */
export function partyUri(role: Role, name: string): string {
  return `spiffe://heddle/${role}/${name}`;
}

/** A certificate with another URI beside that one, or with none, is nobody's: servers do not take it either. */
function partyIn(names: readonly JsonGeneralName[]): { readonly role: Role; readonly name: string } | undefined {
  const uris = names.filter(({ type }) => type === "url");
  const [, word, name] = /^spiffe:\/\/heddle\/([a-z]+)\/([A-Za-z0-9._-]{1,128})$/.exec(uris[0]?.value ?? "") ?? [];
  const role = roles.find((each) => each === word);
  return uris.length === 1 && role !== undefined && name !== undefined ? { role, name } : undefined;
}

function commonName(fields: readonly string[]): string {
  return fields[0] ?? "";
}

/** Others' certificates may have names that ours never have: they are shown as they are. */
function shownHost(text: string): string {
  try {
    return hostIn(text);
  } catch {
    return text;
  }
}
