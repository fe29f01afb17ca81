import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

/** A relay to a target, of its kind, that can be cut, so that whoever is behind it vanishes without a word. */
export class Wire {
  readonly address: string;
  readonly #server: Server;
  readonly #sockets: Set<Socket>;
  readonly #state: { isOff: boolean };

  private constructor(server: Server, sockets: Set<Socket>, state: { isOff: boolean }, address: string) {
    this.#server = server;
    this.#sockets = sockets;
    this.#state = state;
    this.address = address;
  }

  /** To `host:port` or `unix:path`. */
  static async open(target: string): Promise<Wire> {
    const sockets = new Set<Socket>();
    const state = { isOff: false };
    const server = createServer((near) => {
      if (state.isOff) {
        near.destroy();
        return;
      }
      const far = connectTo(target);
      for (const socket of [near, far]) {
        sockets.add(socket);
        socket.on("error", () => undefined);
        socket.on("close", () => {
          sockets.delete(socket);
          near.destroy();
          far.destroy();
        });
      }
      near.pipe(far).pipe(near);
    });
    // What is in front of a private socket is one, too: at a port a client would want proof of a token.
    if (target.startsWith("unix:")) server.listen(`${target.slice("unix:".length)}.wire-${++wires}`);
    else server.listen(0, "127.0.0.1");
    server.unref();
    await once(server, "listening");
    const address = server.address();
    if (address === null) throw new Error("the wire has no address");
    const text = typeof address === "string" ? `unix:${address}` : `127.0.0.1:${address.port}`;
    return new Wire(server, sockets, state, text);
  }

  /** For good. */
  cut(): void {
    this.#server.close();
    this.drop();
  }

  /** What is connected now. */
  drop(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** What is connected now, and what will be until `rejoin`. */
  sever(): void {
    this.#state.isOff = true;
    this.drop();
  }

  rejoin(): void {
    this.#state.isOff = false;
  }
}

/** Wires of this process to sockets. */
let wires = 0;

function connectTo(target: string): Socket {
  if (target.startsWith("unix:")) return connect(target.slice("unix:".length));
  const [host, port] = target.split(":");
  return connect(Number(port), host);
}
