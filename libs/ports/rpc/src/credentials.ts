import type { TlsFiles } from "./caller.ts";

/** What a client shows to servers beyond unix sockets. With neither it has what it finds by itself: the secrets of its own user's servers at loopback. */
export interface Credentials {
  /** It speaks TLS, at loopback too, and believes servers of that authority alone. */
  readonly tls?: TlsFiles;
  /** The secret of a server at loopback, instead of the one that its user's directory has. Proved, never sent. Of no use with `tls`. */
  readonly token?: string;
}
