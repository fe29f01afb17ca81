import { Socket } from "node:net";
import type { ServerFacts } from "./address-file.ts";

/** The inherited end of a pipe to the process that started this one, which must not outlive it. */
export class ParentLink {
  /** Resolves when the other end is closed: the parent is gone, however it ended. Never rejects. */
  readonly gone: Promise<void>;
  readonly #socket: Socket;

  /** `fd` must be a socket pair, which is what Node's `stdio: "pipe"` makes. */
  constructor(fd: number) {
    this.#socket = new Socket({ fd, readable: true, writable: true });
    this.gone = new Promise((resolve) => this.#socket.once("close", () => resolve()));
    this.#socket.on("error", () => undefined); // "close" follows
    this.#socket.on("end", () => this.#socket.destroy());
    this.#socket.resume();
    this.#socket.unref();
  }

  /** Tells the parent that this process serves. */
  tell(facts: ServerFacts): void {
    this.#socket.write(`${JSON.stringify(facts)}\n`);
  }
}
