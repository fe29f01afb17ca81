import type { Http2Server, Http2Session, ServerHttp2Session } from "node:http2";
import { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { callerText } from "@heddle/port-rpc";
import type { Audit } from "./audit.ts";
import { type Identity, identityOver } from "./caller-of.ts";
import { CONTROL_FRAMES_MAX, RATE_SPAN_MS, REFUSALS_MAX } from "./limits.ts";
import type { ServerLimits } from "./options.ts";
import { handshakeFailure } from "./tls-refusal.ts";

/** By what those who connect to a server show who they are. */
export type Door = "unix" | "token" | "tls";

/** One connection that speaks HTTP/2. */
export interface Peer {
  /** Its address, for people. */
  readonly address: string;
  readonly identity: Identity;
  /** Its request was refused. A connection that goes on asking is dropped. */
  readonly refused: () => void;
  /** It knows the token. */
  readonly proved: () => void;
}

/** A connection that is taken and has shown nothing yet. */
interface Stranger {
  readonly socket: Socket;
  readonly timer: NodeJS.Timeout;
}

/** The connections of one server, from when they are taken: how many there are, how long they may be silent and how fast they may ask. */
export class Connections {
  readonly #door: Door;
  readonly #audit: Audit;
  readonly #limits: ServerLimits;
  readonly #sessions = new Set<ServerHttp2Session>();
  readonly #peers = new WeakMap<Http2Session, Peer>();
  /** The oldest first, by their key. */
  readonly #strangers = new Map<string, Stranger>();
  /** Connections by the caller whose certificate they showed. */
  readonly #counts = new Map<string, number>();
  #unixCount = 0;

  constructor(door: Door, audit: Audit, limits: ServerLimits) {
    this.#door = door;
    this.#audit = audit;
    this.#limits = limits;
  }

  watch(server: Http2Server): void {
    server.maxConnections = this.#limits.connectionsMax;
    server.prependListener("connection", (socket: Socket) => this.#taken(socket));
    server.on("session", (session: ServerHttp2Session) => this.#began(session));
    server.on("drop", (dropped?: { remoteAddress?: string; remotePort?: number }) => {
      const peer = `${dropped?.remoteAddress}:${dropped?.remotePort}`;
      this.#audit.refused({ peer, why: `the server has ${this.#limits.connectionsMax} connections (CONNECTIONS_MAX)` });
    });
    server.on("tlsClientError", (error: NodeJS.ErrnoException, socket: TLSSocket) => this.#failed(error, socket));
    server.on("unknownProtocol", (socket: TLSSocket) => {
      this.#audit.refused({ peer: addressOf(socket), why: "the TLS connection does not speak HTTP/2" });
      socket.destroy();
    });
  }

  peerOf(session: Http2Session | undefined): Peer | undefined {
    return session === undefined ? undefined : this.#peers.get(session);
  }

  /** Cuts every connection, whatever it does. */
  destroyAll(): void {
    for (const { socket } of this.#strangers.values()) socket.destroy();
    for (const session of this.#sessions) session.destroy();
  }

  #taken(socket: Socket): void {
    const key = socket.remotePort === undefined ? `unix ${++this.#unixCount}` : addressOf(socket);
    const timer = setTimeout(
      () => this.#cut(key, "it has not greeted in time (GREETING_TIMEOUT_MS)"),
      this.#limits.greetingTimeoutMs,
    );
    this.#strangers.set(key, { socket, timer: timer.unref() });
    socket.once("close", () => this.#known(key));
    const [oldest] = this.#strangers.keys();
    if (this.#strangers.size <= this.#limits.strangersMax || oldest === undefined) return;
    this.#cut(
      oldest,
      `${this.#limits.strangersMax} connections that came later have shown nothing either (STRANGERS_MAX)`,
    );
  }

  #cut(key: string, why: string): void {
    const stranger = this.#strangers.get(key);
    if (stranger === undefined) return;
    this.#audit.refused({ peer: key, why });
    this.#known(key);
    stranger.socket.destroy();
  }

  #known(key: string): void {
    clearTimeout(this.#strangers.get(key)?.timer);
    this.#strangers.delete(key);
  }

  #began(session: ServerHttp2Session): void {
    this.#sessions.add(session);
    session.once("close", () => this.#sessions.delete(session));
    session.on("error", () => session.destroy()); // a peer that speaks no HTTP/2 must not bring the process down
    // A session without TLS begins while its connection is taken: the newest is its own.
    const key = session.socket.remotePort === undefined ? `unix ${this.#unixCount}` : addressOf(session.socket);
    const identity = this.#identify(session);
    const dropAbove = (max: number, what: string): (() => void) =>
      limited(max, () => {
        this.#audit.refused({
          peer: key,
          ...whoIs(identity),
          why: `more than ${max} ${what} within ${RATE_SPAN_MS} ms`,
        });
        session.destroy();
      });
    this.#peers.set(session, {
      address: key,
      identity,
      refused: dropAbove(REFUSALS_MAX, "refused requests"),
      proved: () => this.#known(key),
    });
    const controlled = dropAbove(CONTROL_FRAMES_MAX, "pings and settings");
    session.on("ping", controlled);
    session.on("remoteSettings", controlled);
    session.once("remoteSettings", () => this.#greeted(key, identity));
    this.#count(session, key, identity);
  }

  #identify(session: ServerHttp2Session): Identity {
    if (this.#door === "tls") return identityOver(session.socket);
    return { type: this.#door === "unix" ? "user" : "unproved" };
  }

  #greeted(key: string, { type }: Identity): void {
    if (type === "user" || type === "party") this.#known(key);
    else clearTimeout(this.#strangers.get(key)?.timer); // may stay, but is the first to go
  }

  #count(session: ServerHttp2Session, peer: string, identity: Identity): void {
    const { who } = whoIs(identity);
    if (who === undefined) return;
    const count = (this.#counts.get(who) ?? 0) + 1;
    this.#counts.set(who, count);
    session.once("close", () => {
      const left = (this.#counts.get(who) ?? 0) - 1;
      if (left > 0) this.#counts.set(who, left);
      else this.#counts.delete(who);
    });
    if (count <= this.#limits.callerConnectionsMax) return;
    this.#audit.refused({ peer, who, why: `it has ${count - 1} connections already (CALLER_CONNECTIONS_MAX)` });
    session.destroy();
  }

  #failed(error: NodeJS.ErrnoException, socket: TLSSocket): void {
    // Whoever connects and leaves without a byte looks whether the port is open, as balancers do.
    if (error.code === "ECONNRESET" && socket.authorizationError == null && socket.bytesRead === 0) return;
    this.#audit.refused({ peer: addressOf(beneath(socket)), why: handshakeFailure(error, socket) });
  }
}

/** What a connection has proved, in words. */
export function whoIs(identity: Identity): { readonly who?: string } {
  return identity.type === "party" ? { who: callerText(identity.party) } : {};
}

/** The connection that a TLS socket speaks over: it knows its address also when the TLS socket, whose certificate was no good, is gone. */
function beneath(socket: TLSSocket): Socket {
  const parent: unknown = Reflect.get(socket, "_parent");
  return parent instanceof Socket ? parent : socket;
}

function addressOf({ remoteAddress, remotePort }: Pick<Socket, "remoteAddress" | "remotePort">): string {
  return remoteAddress === undefined ? "unknown" : `${remoteAddress}:${remotePort}`;
}

/** Counts its calls, and calls `above` when there are more than `max` within RATE_SPAN_MS. */
function limited(max: number, above: () => void): () => void {
  let count = 0;
  let sinceMs = Number.NEGATIVE_INFINITY;
  return () => {
    const nowMs = performance.now();
    if (nowMs - sinceMs > RATE_SPAN_MS) {
      sinceMs = nowMs;
      count = 0;
    }
    if (++count === max + 1) above();
  };
}
