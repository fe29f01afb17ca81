import { TLSSocket } from "node:tls";
import { AuthenticationError, type Role, roles } from "@heddle/kernel";
import { certificateText } from "./tls-refusal.ts";

/** Whom a certificate stands for. */
export interface Party {
  readonly role: Role;
  readonly name: string;
}

/** One name of a list such as `DNS:localhost, URI:"spiffe://with, comma"`: Node quotes, as JSON, what could be taken for several. */
const ENTRY = /(?:^|(?<=.), )([A-Za-z][A-Za-z ]*):("(?:[^"\\]|\\.)*"|[^",]*)(?=, |$)/gy;

/**
 * The party in a certificate's subject alternative names, as Node writes them: exactly one URI `spiffe://heddle/<role>/<name>`, the name
 * 1-128 of A-Z, a-z, 0-9, ".", "_" and "-". Other kinds of names may stand beside it. Throws AuthenticationError that says what is there.
 */
export function partyIn(subjectAltName: string | undefined): Party {
  const uris = entriesOf(subjectAltName ?? "").filter((entry) => entry.startsWith("URI:"));
  const [uri] = uris;
  const match = /^URI:spiffe:\/\/heddle\/([a-z]+)\/([A-Za-z0-9._-]{1,128})$/.exec(uri ?? "");
  const role = roles.find((one) => one === match?.[1]);
  if (uris.length === 1 && role !== undefined && match?.[2] !== undefined) return { role, name: match[2] };
  const found = uris.length === 0 ? "no URI" : uris.join(", ").slice(0, 300);
  throw new AuthenticationError(
    `a certificate needs exactly one URI spiffe://heddle/<role>/<name> among its names, with a role of ${roles.join(", ")}; it has ${found}`,
  );
}

function entriesOf(subjectAltName: string): string[] {
  const entries: string[] = [];
  let end = 0;
  for (const match of subjectAltName.matchAll(ENTRY)) {
    entries.push(match[0].replace(/^, /, ""));
    end = match.index + match[0].length;
  }
  if (end === subjectAltName.length) return entries;
  throw new AuthenticationError(`the names of a certificate cannot be read: ${subjectAltName.slice(0, 300)}`);
}

/** What a connection itself shows of who is at its other end. */
export type Identity =
  /** The user of the server. */
  | { readonly type: "user" }
  /** Anybody on this machine: each request must prove that it knows the token. */
  | { readonly type: "unproved" }
  /** The holder of a good certificate, until it runs out. */
  | { readonly type: "party"; readonly party: Party; readonly notAfterMs: number }
  /** The holder of a certificate that says nothing of use. */
  | { readonly type: "nobody"; readonly why: string };

/** Who is at the other end of a TLS connection whose handshake is done. Never throws. */
export function identityOver(socket: unknown): Identity {
  if (!(socket instanceof TLSSocket) || !socket.authorized)
    return { type: "nobody", why: "no certificate was checked" };
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return { type: "nobody", why: "no certificate" };
  try {
    const party = partyIn(certificate.subjectAltName);
    return { type: "party", party, notAfterMs: Date.parse(certificate.validTo) };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { type: "nobody", why: `${why}; ${certificateText(certificate)}` };
  }
}
