import type { Http2Server, ServerHttp2Session } from "node:http2";
import type { Server } from "@grpc/grpc-js";
import { assert } from "@heddle/kernel";
import { CONNECTIONS_MAX, GREETING_TIMEOUT_MS } from "./limits.ts";

type CreateHttp2Server = (...args: unknown[]) => Http2Server;

/**
 * Gives a grpc-js server what it has no options for: flow-control windows, a bound on connections, a time limit for their greeting,
 * and a set of the connections that live (its own forceShutdown destroys only those that channelz knows, and channelz is off).
 * grpc-js makes its http2 server in a private method; the tests of this file's effects fail when an update moves it.
 */
export function tuneServer(server: Server, tcpWindowBytes: number): ReadonlySet<ServerHttp2Session> {
  const sessions = new Set<ServerHttp2Session>();
  const create: unknown = Reflect.get(server, "createHttp2Server");
  assert(typeof create === "function", "grpc-js makes its http2 servers in createHttp2Server");
  const tuned: CreateHttp2Server = (...args) => {
    const http2Server = (create as CreateHttp2Server).apply(server, args);
    http2Server.maxConnections = CONNECTIONS_MAX;
    http2Server.on("session", (session: ServerHttp2Session) => {
      sessions.add(session);
      session.once("close", () => sessions.delete(session));
      session.on("error", () => session.destroy()); // a peer that speaks no HTTP/2 must not bring the process down
      tuneSession(session, tcpWindowBytes);
    });
    return http2Server;
  };
  Reflect.set(server, "createHttp2Server", tuned);
  return sessions;
}

function tuneSession(session: ServerHttp2Session, tcpWindowBytes: number): void {
  const timer = setTimeout(() => session.destroy(), GREETING_TIMEOUT_MS);
  timer.unref();
  session.once("remoteSettings", () => clearTimeout(timer));
  session.once("close", () => clearTimeout(timer));
  if (session.socket.remoteAddress === undefined) return; // a unix socket: HTTP/2's default of 64 KiB is right
  session.settings({ initialWindowSize: tcpWindowBytes });
  session.setLocalWindowSize(tcpWindowBytes);
}
