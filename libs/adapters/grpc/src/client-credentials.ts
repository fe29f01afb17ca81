import { randomBytes } from "node:crypto";
import { statSync } from "node:fs";
import { isIP } from "node:net";
import { type ChannelCredentials, credentials, Metadata } from "@grpc/grpc-js";
import {
  type Address,
  AuthenticationError,
  type HeddleError,
  isLocal,
  type Logger,
  PermissionError,
  silentLogger,
  UnavailableError,
} from "@heddle/kernel";
import type { TlsFiles } from "@heddle/port-rpc";
import { formatAddress } from "./addresses.ts";
import { hangsUp, speaksTls, TlsCredentials } from "./client-tls.ts";
import { TLS_POLL_MS, TLS_PROBE_MS } from "./limits.ts";
import { checkServerProof, makeProof, PROOF_KEY, PROOF_NONCE_BYTES } from "./proof.ts";
import { errorOfTls, isHangUp } from "./tls-errors.ts";
import { type TlsMaterial, watchTls } from "./tls-material.ts";

/** By what a client proves who it is. */
export interface ClientCredentialsOptions {
  /** Every TCP address is dialled over mutual TLS with these, loopback too. Without them nothing beyond loopback is dialled. */
  readonly tls?: TlsFiles;
  /** The token of every loopback address, instead of what `findToken` says. It never leaves this machine, nor this process. */
  readonly token?: string;
  /** The token of the server at a loopback address, as it is now: asked at each dial and call. */
  readonly findToken?: (address: string) => string | undefined;
  /** Where `findToken` looks, for the words of errors: a directory. */
  readonly tokenPlace?: string;
  /** Told of TLS files that have changed. Default: nobody. */
  readonly log?: Logger;
  /** For tests alone: time between two looks at the TLS files. Default TLS_POLL_MS. */
  readonly tlsPollMs?: number;
}

/** How one channel is secured. */
export interface ChannelSecurity {
  /** The address to connect to. */
  readonly target: Address;
  readonly credentials: ChannelCredentials;
  /** Connections made from now on would prove something else than the one that is there. */
  readonly isStale: boolean;
  /** Before each stream and question. Throws AuthenticationError when there is nothing to prove anything by any more. */
  begin(path: string): CallSecurity;
  /** Why there was no connection, where more is known than gRPC says in `details`. `what` names the conversation. */
  explain(what: string, details: string): Promise<HeddleError | undefined>;
}

/** What one stream or question shows, and what it must be shown. */
export interface CallSecurity {
  readonly metadata: Metadata;
  /** Whether the first metadata that came shows that this is the server that was meant. */
  believes(answer: Metadata | undefined): boolean;
  /** The error when it does not. */
  disbelief(): HeddleError;
  /** What a refusal means, which came from whoever listens there. */
  refusal(error: HeddleError): HeddleError;
}

/** What one client proves itself by, to servers of any kind. Disposing ends the watching of its TLS files. */
export class ClientCredentials implements Disposable {
  readonly #options: ClientCredentialsOptions;
  readonly #material: TlsMaterial | undefined;

  /** Throws InvalidArgumentError or AuthenticationError for TLS files that are not good. */
  constructor(options: ClientCredentialsOptions) {
    this.#options = options;
    const { tls, log = silentLogger, tlsPollMs = TLS_POLL_MS } = options;
    this.#material = tls === undefined ? undefined : watchTls(tls, { log, pollMs: tlsPollMs });
  }

  /** The security of a channel to `address`. Throws PermissionError where there is none, before anything is sent or looked up. */
  channelTo(address: Address, text: string): ChannelSecurity {
    if (address.kind === "unix") return new SocketSecurity(address);
    const { tls } = this.#options;
    if (tls !== undefined && this.#material !== undefined) return new TlsSecurity(address, tls, this.#material);
    const target = loopbackOf(address);
    if (target !== undefined) return new TokenSecurity(target, text, this.#options);
    throw new PermissionError(
      `refusing to dial ${formatAddress(address)}: beyond loopback needs TLS, and no TLS files are given: make them with \`heddle certs init\` and ` +
        "say where they are (--tls-dir, HEDDLE_TLS_DIR); a token is never used there",
    );
  }

  [Symbol.dispose](): void {
    this.#material?.[Symbol.dispose]();
  }
}

/** The address as an IP address of this machine that nobody needs to look up; undefined when it is none. */
function loopbackOf(address: Address & { kind: "tcp" }): (Address & { kind: "tcp" }) | undefined {
  if (!isLocal(address)) return undefined;
  const host = address.host.toLowerCase() === "localhost" ? "127.0.0.1" : address.host;
  return isIP(host) === 0 ? undefined : { ...address, host };
}

/** A socket file: its directory says who may connect, and its owner who serves. */
class SocketSecurity implements ChannelSecurity {
  readonly target: Address & { kind: "unix" };
  readonly credentials = credentials.createInsecure();
  readonly isStale = false;

  constructor(target: Address & { kind: "unix" }) {
    this.target = target;
  }

  /** A server may name a path that is nobody's on this machine, where another user then puts a socket. */
  begin(): CallSecurity {
    const user = process.geteuid?.();
    const owner = this.#owner();
    if (user === undefined || owner === undefined || user === 0 || owner === user || owner === 0) return trusting;
    throw new AuthenticationError(
      `refusing to dial ${formatAddress(this.target)}: the socket belongs to another user (uid ${owner})`,
    );
  }

  #owner(): number | undefined {
    try {
      return statSync(this.target.path, { throwIfNoEntry: false })?.uid;
    } catch (cause) {
      const { code, message } = cause as NodeJS.ErrnoException;
      if (code !== "EACCES")
        throw new UnavailableError(`nobody listens at ${formatAddress(this.target)}: ${message}`, { cause });
      throw new PermissionError(`${formatAddress(this.target)} is in a directory that is closed to this user`, {
        cause,
      });
    }
  }

  explain(): Promise<undefined> {
    return Promise.resolve(undefined);
  }
}

/** The connection has proved already who is at its ends. */
const trusting: CallSecurity = {
  get metadata() {
    return new Metadata();
  },
  believes: () => true,
  disbelief: () => new AuthenticationError("the server is not the one that was meant"),
  refusal: (error) => error,
};

/** Mutual TLS. */
class TlsSecurity implements ChannelSecurity {
  readonly target: Address & { kind: "tcp" };
  readonly credentials: TlsCredentials;
  readonly #files: TlsFiles;
  readonly #material: TlsMaterial;

  constructor(target: Address & { kind: "tcp" }, files: TlsFiles, material: TlsMaterial) {
    this.target = target;
    this.credentials = new TlsCredentials(material, target.host);
    this.#files = files;
    this.#material = material;
  }

  get isStale(): boolean {
    return this.credentials.used !== undefined && this.credentials.used !== this.#material.current;
  }

  begin(): CallSecurity {
    const { notAfterMs } = this.#material.current;
    if (notAfterMs > Date.now()) return trusting;
    throw new AuthenticationError(
      `refusing to dial ${formatAddress(this.target)}: the certificate in ${this.#files.certFile} has expired on ` +
        `${new Date(notAfterMs).toISOString()}: put a new one there`,
    );
  }

  /** A server that does not accept the certificate hangs up, and so does one that stops: a second connection tells them apart. */
  async explain(what: string, details: string): Promise<HeddleError | undefined> {
    const { progress } = this.credentials;
    const { host, port } = this.target;
    const attempt = { what, details, host, files: this.#files };
    const mayBeRefused = progress.type === "believed" && isHangUp(details);
    const isRefused = mayBeRefused && (await hangsUp(this.#material.current, { host, port }, TLS_PROBE_MS));
    return errorOfTls(progress, { ...attempt, isRefused });
  }
}

/** A loopback address in clear: both sides prove that they know the token. */
class TokenSecurity implements ChannelSecurity {
  readonly target: Address & { kind: "tcp" };
  readonly credentials = credentials.createInsecure();
  readonly isStale = false;
  /** The address as it was given, by which tokens are found. */
  readonly #address: string;
  readonly #options: ClientCredentialsOptions;

  constructor(target: Address & { kind: "tcp" }, address: string, options: ClientCredentialsOptions) {
    this.target = target;
    this.#address = address;
    this.#options = options;
  }

  begin(path: string): CallSecurity {
    const token = this.#token();
    const metadata = new Metadata();
    // Nobody is believed whose token is not known: another user of this machine may listen there, and ask for nothing.
    if (token === undefined) {
      return {
        metadata,
        believes: () => false,
        disbelief: () => this.#unknown(),
        refusal: () => this.#refusal(token),
      };
    }
    const proof = makeProof(token, path, Date.now(), randomBytes(PROOF_NONCE_BYTES));
    metadata.set(PROOF_KEY, proof);
    return {
      metadata,
      believes: (answer) => checkServerProof(token, path, proof, proofIn(answer)),
      disbelief: () => this.#disbelief(),
      refusal: () => this.#refusal(token),
    };
  }

  /** A server that wants TLS hangs up on what is no TLS, and so does one that stops: a question tells them apart. */
  async explain(what: string, details: string): Promise<HeddleError | undefined> {
    const { host, port } = this.target;
    if (!isHangUp(details) || !(await speaksTls(host, port, TLS_PROBE_MS))) return undefined;
    return new AuthenticationError(
      `${what}: the server speaks TLS, and no TLS files are given: say where they are (--tls-dir, HEDDLE_TLS_DIR)`,
    );
  }

  #token(): string | undefined {
    return this.#options.token ?? this.#options.findToken?.(this.#address);
  }

  /** Whoever listens may be anybody, so its own words are not passed on. */
  #refusal(token: string | undefined): HeddleError {
    if (this.#token() !== token) {
      return new UnavailableError(`the server at ${this.#address} has another token than a moment ago: try again`);
    }
    if (token === undefined) {
      return new AuthenticationError(
        `the server at ${this.#address} wants its token, and none was found${this.#place()}: \`heddle token\` shows it to ` +
          "the user who started the server; say it by HEDDLE_TOKEN or connect({ token })",
      );
    }
    const source = this.#options.token === undefined ? `found${this.#place()}` : "that was given";
    return new AuthenticationError(
      `the server at ${this.#address} refused the proof of the token ${source}: it is another server's, or was replaced`,
    );
  }

  /** Somebody answers who is not known by a token: a server of somebody else, or of something else. */
  #unknown(): HeddleError {
    if (this.#token() !== undefined) return this.#refusal(undefined);
    return new AuthenticationError(
      `whoever listens at ${this.#address} has not shown that it is a server of this user's: no token of it was found${this.#place()}. If it is another user's, ` +
        "or behind a tunnel, say the token that `heddle token` shows to who started it, by HEDDLE_TOKEN or connect({ token })",
    );
  }

  #disbelief(): HeddleError {
    return new AuthenticationError(
      `whoever listens at ${this.#address} is not the server whose token is known: it could not prove that it knows it`,
    );
  }

  #place(): string {
    return this.#options.tokenPlace === undefined ? "" : ` in ${this.#options.tokenPlace}`;
  }
}

function proofIn(answer: Metadata | undefined): string | undefined {
  const proof = answer?.get(PROOF_KEY)[0];
  return typeof proof === "string" ? proof : undefined;
}
