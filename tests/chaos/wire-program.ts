/**
 * The wire in the middle of the network: relays connections to the servers as they are, or slowly, byte by byte, or cutting them. Whose connection it is tells the address that it comes
 * from. Arguments: `LISTEN=TARGET` for each port, addresses of TCP.
 */
import { connect, createServer, type Socket } from "node:net";
import { serve } from "./companion-side.ts";

/** How bytes of one host go through. */
export type Manner =
  | { readonly type: "plain" }
  /** Each piece later by so much, and a few of them by much more, as after a loss. */
  | { readonly type: "slow"; readonly delayMs: number }
  /** Every byte by itself, so many a millisecond at most. */
  | { readonly type: "drip"; readonly bytesPerMs: number };

/** Bytes that wait in one direction before no more are read. */
const WAITING_BYTES_MAX = 256 * 1024;
/** Of a slow wire: each piece after so many is one that was lost, and comes later by so much. */
const LOSS_EVERY = 40;
const LOSS_MS = 600;
const plain: Manner = { type: "plain" };

const manners = new Map<string, Manner>();
const connections = new Map<string, Set<Socket>>();

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** One direction of a connection. */
class Pump {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #host: string;
  readonly #waiting: Uint8Array[] = [];
  #bytes = 0;
  #pieces = 0;
  #isEnded = false;
  #isRunning = false;

  constructor(from: Socket, to: Socket, host: string) {
    this.#from = from;
    this.#to = to;
    this.#host = host;
    from.on("data", (bytes: Uint8Array) => this.#take(bytes));
    from.on("end", () => {
      this.#isEnded = true;
      void this.#run();
    });
  }

  #take(bytes: Uint8Array): void {
    this.#waiting.push(bytes);
    this.#bytes += bytes.length;
    if (this.#bytes > WAITING_BYTES_MAX) this.#from.pause();
    void this.#run();
  }

  async #run(): Promise<void> {
    if (this.#isRunning) return;
    this.#isRunning = true;
    for (let piece = this.#waiting.shift(); piece !== undefined; piece = this.#waiting.shift()) {
      await this.#pass(piece, manners.get(this.#host) ?? plain);
      this.#bytes -= piece.length;
      if (this.#bytes < WAITING_BYTES_MAX / 2) this.#from.resume();
    }
    this.#isRunning = false;
    if (this.#isEnded) this.#to.end();
  }

  async #pass(piece: Uint8Array, manner: Manner): Promise<void> {
    switch (manner.type) {
      case "plain":
        return await this.#write(piece);
      case "slow":
        await sleep(manner.delayMs + (++this.#pieces % LOSS_EVERY === 0 ? LOSS_MS : 0));
        return await this.#write(piece);
      case "drip":
        return await this.#drip(piece, manner.bytesPerMs);
    }
  }

  async #drip(piece: Uint8Array, bytesPerMs: number): Promise<void> {
    for (let at = 0; at < piece.length; at++) {
      if ((manners.get(this.#host) ?? plain).type !== "drip") return await this.#write(piece.subarray(at));
      await this.#write(piece.subarray(at, at + 1));
      if (at % bytesPerMs === 0) await sleep(1);
    }
  }

  async #write(bytes: Uint8Array): Promise<void> {
    if (this.#to.destroyed || this.#to.write(bytes)) return;
    await new Promise<void>((resolve) => {
      const go = (): void => {
        this.#to.off("drain", go).off("close", go);
        resolve();
      };
      this.#to.on("drain", go).on("close", go);
    });
  }
}

function relay(near: Socket, target: string): void {
  const host = near.remoteAddress ?? "";
  const [address = "", port] = target.split(":");
  const far = connect({ host: address, port: Number(port), allowHalfOpen: true, noDelay: true });
  const all = connections.get(host) ?? new Set();
  connections.set(host, all.add(near));
  new Pump(near, far, host);
  new Pump(far, near, host);
  for (const [socket, other] of [
    [near, far],
    [far, near],
  ] as const) {
    socket.on("error", () => other.destroy());
    socket.on("close", () => {
      all.delete(socket);
      other.destroySoon();
    });
  }
}

for (const route of process.argv.slice(2)) {
  const [listen = "", target = ""] = route.split("=");
  const [host, port] = listen.split(":");
  createServer({ allowHalfOpen: true, noDelay: true }, (near) => relay(near, target)).listen(Number(port), host);
}

serve({
  manner: (address: string, manner: Manner) => void manners.set(address, manner),
  /** Cuts what is connected from a host now. */
  drop: (address: string) => {
    const all = connections.get(address) ?? new Set();
    for (const socket of all) socket.resetAndDestroy();
    return all.size;
  },
  open: () => [...connections.values()].reduce((sum, { size }) => sum + size, 0),
});
