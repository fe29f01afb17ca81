import { AsyncLocalStorage } from "node:async_hooks";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { Socket } from "node:net";

/** Where Node tells of each socket that is about to connect. */
const SOCKETS = "net.client.socket";

/** The TCP connections of one channel that nobody has answered yet. */
export type ConnectingSockets = Set<Socket>;

/**
 * Knows which TCP connections are being made, and for which channel. grpc-js forgets those of a channel that was closed, and gives nobody a handle of them; while a firewall swallows
 * their packets they would hold the process for the minutes that the system goes on trying.
 */
export class Connecting implements Disposable {
  readonly #channel = new AsyncLocalStorage<ConnectingSockets>();
  readonly #listen = (message: unknown): void => {
    const sockets = this.#channel.getStore();
    if (sockets !== undefined && typeof message === "object" && message !== null && "socket" in message)
      if (message.socket instanceof Socket) keep(sockets, message.socket);
  };

  constructor() {
    subscribe(SOCKETS, this.#listen);
  }

  /** Does what may begin a connection, now or later, for a channel. */
  for<T>(sockets: ConnectingSockets, begin: () => T): T {
    return this.#channel.run(sockets, begin);
  }

  [Symbol.dispose](): void {
    unsubscribe(SOCKETS, this.#listen);
  }
}

function keep(sockets: ConnectingSockets, socket: Socket): void {
  sockets.add(socket);
  const forget = (): void => void sockets.delete(socket);
  socket.once("connect", forget).once("close", forget);
}
