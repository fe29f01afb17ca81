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

/** Whether one of the authorities of a PEM text signed the (first) certificate of another. */
export function isIssuedBy(certPem: string, caPem: string): boolean {
  const certificate = new NodeCertificate(certPem);
  return certificatesIn(caPem)
    .map((each) => new NodeCertificate(each))
    .some((authority) => certificate.checkIssued(authority) && certificate.verify(authority.publicKey));
}

/** Where a certificate has who its owner is. */
export function partyUri(role: Role, name: string): string {
  return `spiffe://heddle/${role}/${name}`;
}

/** There is exactly one such URI, or nobody knows who this is. */
function partyIn(names: readonly JsonGeneralName[]): { readonly role: Role; readonly name: string } | undefined {
  const uris = names.filter(({ type, value }) => type === "url" && value.startsWith("spiffe://"));
  const [, word, name] = /^spiffe:\/\/heddle\/([a-z]+)\/([a-z0-9-]{1,63})$/.exec(uris[0]?.value ?? "") ?? [];
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
