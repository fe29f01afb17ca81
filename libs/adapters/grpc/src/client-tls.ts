import { isIP, type Socket } from "node:net";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import { CallCredentials, ChannelCredentials, type experimental } from "@grpc/grpc-js";
import type { TlsIdentity, TlsMaterial } from "./tls-material.ts";

/** How far the last connection of a channel has come in TLS. */
export type TlsProgress =
  /** Nobody has proved anything yet. */
  | { readonly type: "none" }
  /** The server's certificate is not one to believe. */
  | { readonly type: "disbelieved"; readonly error: NodeJS.ErrnoException }
  /** The server was believed. What it makes of our certificate it says later, or hangs up. */
  | { readonly type: "believed" }
  /** What came was no TLS, or said in TLS that it goes no further. */
  | { readonly type: "failed"; readonly error: NodeJS.ErrnoException };

/**
 * Credentials of one channel: mutual TLS 1.3 with what the material says when a connection is made. grpc-js's own would let TLS 1.2 pass, name
 * IP addresses to the server (which TLS forbids and Node warns of), obey NODE_TLS_REJECT_UNAUTHORIZED, and keep of what goes wrong only words.
 */
export class TlsCredentials extends ChannelCredentials {
  readonly #material: TlsMaterial;
  readonly #host: string;
  #progress: TlsProgress = { type: "none" };
  #used: TlsIdentity | undefined;

  /** `host` is the name or IP address that the server's certificate must be for. */
  constructor(material: TlsMaterial, host: string) {
    super();
    this.#material = material;
    this.#host = host;
  }

  get progress(): TlsProgress {
    return this.#progress;
  }

  /** What this side has shown on the last connection; undefined before the first. */
  get used(): TlsIdentity | undefined {
    return this.#used;
  }

  override _isSecure(): boolean {
    return true;
  }

  override _equals(other: ChannelCredentials): boolean {
    return this === other;
  }

  override _createSecureConnector(
    _target: unknown,
    _options: unknown,
    callCredentials: CallCredentials = CallCredentials.createEmpty(),
  ): experimental.SecureConnector {
    /** Handshakes under way: grpc-js, which has given the channel up, waits for them as long as the peer likes, and so does the process. */
    const shaking = new Set<TLSSocket>();
    let isDestroyed = false;
    return {
      connect: (socket) => {
        if (isDestroyed) return Promise.reject(new Error("the channel was closed"));
        return this.#connect(socket, shaking);
      },
      waitForReady: () => Promise.resolve(),
      getCallCredentials: () => callCredentials,
      destroy: () => {
        isDestroyed = true;
        for (const socket of shaking) socket.destroy();
      },
    };
  }

  async #connect(socket: Socket, shaking: Set<TLSSocket>): Promise<experimental.SecureConnectResult> {
    this.#progress = { type: "none" };
    this.#used = this.#material.current;
    const { ca, cert, key } = this.#used;
    const tlsSocket = connect({ ...{ socket, ca, cert, key }, ...tlsOptions(this.#host) });
    // Listens for as long as the socket lives: the server's word on our certificate comes after the handshake.
    tlsSocket.on("error", (error: NodeJS.ErrnoException) => {
      if (isDisbelief(tlsSocket)) this.#progress = { type: "disbelieved", error };
      else if (error.code?.startsWith("ERR_SSL_")) this.#progress = { type: "failed", error };
    });
    shaking.add(tlsSocket);
    try {
      await handshake(tlsSocket);
    } finally {
      shaking.delete(tlsSocket);
    }
    this.#progress = { type: "believed" };
    return { socket: tlsSocket, secure: true };
  }
}

/**
 * Whether whoever listens at a TCP address of this machine speaks TLS: asks for its certificate, believes nobody and proves nothing.
 * False when it is not known within `timeoutMs`.
 */
export async function speaksTls(host: string, port: number, timeoutMs: number): Promise<boolean> {
  const socket = connect({ ...{ host, port, timeout: timeoutMs, ca: [] }, ...tlsOptions(host) });
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once("timeout", () => reject(new Error("timeout")));
      handshake(socket).then(resolve, reject);
    });
    return true;
  } catch {
    return isDisbelief(socket);
  } finally {
    socket.on("error", () => undefined).destroy();
  }
}

/**
 * Whether a server that believes it may be spoken to ends one more connection of this side right after the handshake, without a byte: as one does that does not accept the
 * certificate, of which Node's TLS tells nobody. One that is stopping, or gone, takes no further connection. False when it is not known within `timeoutMs`.
 */
export async function hangsUp({ ca, cert, key }: TlsIdentity, at: TlsTarget, timeoutMs: number): Promise<boolean> {
  const socket = connect({ ...{ ...at, timeout: timeoutMs, ca, cert, key }, ...tlsOptions(at.host) });
  try {
    const late = new Promise<false>((resolve) => socket.once("timeout", () => resolve(false)));
    const spoken = new Promise<false>((resolve) => socket.once("data", () => resolve(false))); // HTTP/2 servers speak first
    const ended = handshake(socket).then(
      () => new Promise<true>((resolve) => socket.once("close", () => resolve(true))),
    );
    return await Promise.race([late, spoken, ended]);
  } catch {
    return false; // there was no handshake
  } finally {
    socket.on("error", () => undefined).destroy();
  }
}

/** A TCP address that a certificate must be for. */
export interface TlsTarget {
  readonly host: string;
  readonly port: number;
}

function tlsOptions(host: string): ConnectionOptions {
  return {
    host,
    ...(isIP(host) === 0 ? { servername: host } : {}), // an IP address is checked like a name, but never told
    minVersion: "TLSv1.3",
    rejectUnauthorized: true,
    ALPNProtocols: ["h2"],
  };
}

/** Node says so before it destroys the socket. */
function isDisbelief(socket: TLSSocket): boolean {
  return Boolean(socket.authorizationError);
}

/** Resolves when the server has proved who it is, and this side has shown its certificate. */
function handshake(socket: TLSSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.once("close", () => reject(new Error("the connection ended during the TLS handshake")));
    socket.once("secureConnect", () => (socket.authorized ? resolve() : reject(socket.authorizationError)));
  });
}
