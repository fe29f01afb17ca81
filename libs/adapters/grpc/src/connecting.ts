import { AsyncLocalStorage } from "node:async_hooks";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { Socket } from "node:net";
import { DIAL_TIMEOUT_MS } from "./limits.ts";

/** Where Node tells of each socket that is about to connect. */
const SOCKETS = "net.client.socket";

/** The TCP connections of one channel that nobody has answered yet. */
export class ConnectingSockets {
  readonly #sockets = new Set<Socket>();
  #isGivenUp = false;

  add(socket: Socket): void {
    this.#sockets.add(socket);
    const forget = (): void => void this.#sockets.delete(socket);
    socket.once("connect", forget).once("close", forget);
    if (this.#isGivenUp) process.nextTick(() => socket.destroy()); // what begins to connect is not destroyed by then
  }

  /** Nobody waits for a connection any more. grpc-js may begin one nevertheless, of a channel that was closed as it looked its address up. */
  giveUp(): void {
    this.#isGivenUp = true;
    for (const socket of this.#sockets) socket.destroy();
  }
}

/**
 * Knows which TCP connections are being made, and for which channel. grpc-js forgets those of a channel that was closed, and gives nobody a handle of them; while a firewall swallows
 * their packets they would hold the process for the minutes that the system goes on trying.
 */
export class Connecting implements Disposable {
  readonly #channel = new AsyncLocalStorage<ConnectingSockets>();
  readonly #listen = (message: unknown): void => {
    const sockets = this.#channel.getStore();
    if (sockets !== undefined && typeof message === "object" && message !== null && "socket" in message)
      if (message.socket instanceof Socket) sockets.add(message.socket);
  };

  constructor() {
    subscribe(SOCKETS, this.#listen);
  }

  /** Does what may begin a connection, now or later, for a channel. */
  for<T>(sockets: ConnectingSockets, begin: () => T): T {
    return this.#channel.run(sockets, begin);
  }

  /** Connections that are begun from a while on are nobody's: grpc-js may look an address up just now. */
  [Symbol.dispose](): void {
    setTimeout(() => void unsubscribe(SOCKETS, this.#listen), DIAL_TIMEOUT_MS).unref();
  }
}
