import type { Role } from "@heddle/kernel";

/** Who is at the other end of a connection: what the connection proved, nothing that a message says. */
export interface Caller {
  /** Its certificate's role. Undefined: it runs as the user of the server and may do all (a private socket, a token, the same process). */
  readonly role: Role | undefined;
  /** Its name within the role. */
  readonly name: string;
}

/** Somebody who runs as the user of the server. */
export const thisUser: Caller = { role: undefined, name: "this user" };

/** Who it is in words, which tell one identity from every other: `client "alice"`, or `this user`. */
export function callerText({ role, name }: Caller): string {
  return role === undefined ? thisUser.name : `${role} ${JSON.stringify(name)}`;
}

/** The same for tables: `client/alice`, or `this user`. */
export function identityText({ role, name }: Caller): string {
  return role === undefined ? thisUser.name : `${role}/${name}`;
}

/** Whether both are one identity: the same role and name, or both the user of the server. */
export function isSameCaller(one: Caller, other: Caller): boolean {
  return callerText(one) === callerText(other);
}

/** Who may call what: roles by the path of a method. Nobody who has a role may call what is not in it. */
export type AccessTable = ReadonlyMap<string, readonly Role[]>;

/** Whether the table lets the caller call the method. */
export function mayCall(table: AccessTable, path: string, { role }: Caller): boolean {
  return role === undefined || table.get(path)?.includes(role) === true;
}

/** Where one party keeps what proves who it is, and whom it believes: paths of PEM files. */
export interface TlsFiles {
  /** Certificates of the authorities that others' certificates must come from. */
  readonly caFile: string;
  /** Its own certificate, followed by what is between it and the authority. */
  readonly certFile: string;
  /** Its private key. */
  readonly keyFile: string;
  /** Variables of the environment that named them, where some did, for the words of errors. */
  readonly namedBy?: string;
}

/** The three files by the names that Kubernetes gives them in a secret. */
export function tlsFilesIn(directory: string): TlsFiles {
  const file = (name: string): string => `${directory.replace(/\/+$/, "")}/${name}`;
  return { caFile: file("ca.crt"), certFile: file("tls.crt"), keyFile: file("tls.key") };
}
