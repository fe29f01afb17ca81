import type { Random } from "@heddle/kernel";
import { type Link, type MessageCodec, streamRoute } from "@heddle/port-rpc";
import { objectsOperate, sessionsKeepAlive } from "@heddle/wire";
import { localClient, localServer } from "./local-rpc.ts";

/** What part of the frames each way is treated so, and how many at most; the rest passes. */
export interface Unruliness {
  readonly duplicated: readonly [part: number, most: number];
  readonly dropped: readonly [part: number, most: number];
  readonly delayed: readonly [part: number, most: number];
}

const opaque: MessageCodec<unknown> = {
  encode: (message) => ({ finish: () => message as Uint8Array }),
  decode: (bytes) => bytes,
};
const operate = { path: objectsOperate.path, request: opaque, response: opaque };
const keepAlive = { path: sessionsKeepAlive.path, request: opaque, response: opaque };

/** A relay to a manager that sends frames of operations and replies twice, holds some back, and loses some, with what its stream had still to bring. Handshakes and beats pass. */
export class UnrulyRelay implements AsyncDisposable {
  readonly did = { passed: 0, duplicated: 0, dropped: 0, delayed: 0 };
  readonly #scope = new AsyncDisposableStack();
  readonly #client = this.#scope.use(localClient());
  readonly #target: string;
  readonly #random: Random;
  readonly #unruliness: Unruliness;
  #address = "";

  private constructor(target: string, random: Random, unruliness: Unruliness) {
    this.#target = target;
    this.#random = random;
    this.#unruliness = unruliness;
  }

  static async open(target: string, random: Random, unruliness: Unruliness): Promise<UnrulyRelay> {
    const relay = new UnrulyRelay(target, random, unruliness);
    const server = localServer();
    const routes = [
      streamRoute(operate, (link) => void relay.#relay(operate, link, (from, to) => relay.#disturb(from, to))),
      streamRoute(keepAlive, (link) => void relay.#relay(keepAlive, link, pass)),
    ];
    relay.#address = relay.#scope.use(await server.listen("127.0.0.1:0", routes)).address;
    return relay;
  }

  get address(): string {
    return this.#address;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#scope.disposeAsync();
  }

  async #relay(
    method: typeof operate,
    near: AnyLink,
    pump: (from: AnyLink, to: AnyLink) => Promise<void>,
  ): Promise<void> {
    try {
      const far = await this.#client.dial(method, this.#target, new AbortController().signal);
      await Promise.all([pump(near, far), pump(far, near)]);
    } catch {
      await near[Symbol.asyncDispose](); // the manager is not there: whoever dialled tries again
    }
  }

  #draw(): keyof UnrulyRelay["did"] {
    let draw = this.#random.float();
    for (const deed of ["duplicated", "dropped", "delayed"] as const) {
      const [part, most] = this.#unruliness[deed];
      if (draw < part && this.did[deed] < most) return deed;
      draw -= part;
    }
    return "passed";
  }

  async #disturb(from: AnyLink, to: AnyLink): Promise<void> {
    let isHandshake = true;
    for await (const message of from.incoming) {
      const deed = isHandshake ? "passed" : this.#draw();
      isHandshake = false;
      this.did[deed]++;
      if (deed === "dropped") break; // a stream has no gaps: it loses its end
      if (deed === "delayed") await new Promise((resolve) => setTimeout(resolve, this.#random.int(20)));
      if (deed === "duplicated") to.send(message);
      to.send(message);
    }
    await Promise.all([to[Symbol.asyncDispose](), from[Symbol.asyncDispose]()]);
  }
}

type AnyLink = Link<unknown, unknown>;

async function pass(from: AnyLink, to: AnyLink): Promise<void> {
  for await (const message of from.incoming) to.send(message);
  await to[Symbol.asyncDispose]();
}
