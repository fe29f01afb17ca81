import { assert } from "@heddle/kernel";
import {
  type Link,
  type MessageCodec,
  type StreamMethod,
  streamRoute,
  type UnaryMethod,
  unaryRoute,
} from "@heddle/port-rpc";
import type { FaultPlan } from "./fault-plan.ts";
import type { HostContext } from "./host.ts";
import { createWorld, type RunReport, type World } from "./world.ts";

/** Text as UTF-8, for toy protocols. */
export const textCodec: MessageCodec<string> = {
  encode: (text) => ({ finish: () => new TextEncoder().encode(text) }),
  decode: (bytes) => new TextDecoder().decode(bytes),
};
/** A stream of texts. */
export const talk: StreamMethod<string, string> = { path: "/toy.Talk/Talk", request: textCodec, response: textCodec };
/** A question in text. */
export const ask: UnaryMethod<string, string> = { path: "/toy.Talk/Ask", request: textCodec, response: textCodec };

const HOSTS = ["a", "b", "c", "d"];
const STORM_MS = 20_000;
const CALM_MS = 20_000;

/** What came of a run of `chatter`. */
export interface ChatterReport extends RunReport {
  /** Messages that were answered after the world had healed, by machine: all above 0, or the world lost one. */
  readonly answeredAfterHeal: readonly number[];
}

/**
 * A toy protocol that exercises the world: every machine keeps a link to the next one, numbers what it says on it, asks questions, dials again when
 * the link is over. Every hearer asserts that what it hears on one link is 0, 1, 2, ... without a gap. 20 s of faults, then 20 s of calm.
 */
export async function chatter(seed: number, plan: FaultPlan): Promise<ChatterReport> {
  const world = createWorld(seed, { plan });
  const answered = new Map(HOSTS.map((name) => [name, 0]));
  for (const [at, name] of HOSTS.entries()) {
    const next = HOSTS[(at + 1) % HOSTS.length] ?? name;
    world.host(name, (context) => {
      void new Talker(context, `${next}:1`, () => answered.set(name, (answered.get(name) ?? 0) + 1)).run();
      return context.rpc.listen(`${name}:1`, [
        streamRoute(talk, (link) => void answer(link)),
        unaryRoute(ask, (text) => Promise.resolve(text.toUpperCase())),
      ]);
    });
  }
  await runUntil(world, STORM_MS);
  world.heal();
  const before = [...answered.values()];
  const report = await runUntil(world, STORM_MS + CALM_MS);
  return { ...report, answeredAfterHeal: [...answered.values()].map((count, at) => count - (before[at] ?? 0)) };
}

function runUntil(world: World, deadlineMs: number): Promise<RunReport> {
  return world.run({ deadlineMs, done: () => false });
}

async function answer(link: Link<string, string>): Promise<void> {
  let expected = 0;
  for await (const text of link.incoming) {
    assert(text === String(expected), `heard ${text} instead of ${expected}`);
    expected++;
    if (!link.send(text)) await link.drained();
  }
}

/** One machine's speaking half. */
class Talker {
  readonly #context: HostContext;
  readonly #address: string;
  readonly #answered: () => void;

  constructor(context: HostContext, address: string, answered: () => void) {
    this.#context = context;
    this.#address = address;
    this.#answered = answered;
  }

  async run(): Promise<never> {
    for (;;) {
      await this.#sleep();
      await this.#converse().catch(() => undefined);
    }
  }

  /** One link, from dial to end. */
  async #converse(): Promise<void> {
    const { rpc } = this.#context;
    const question = rpc.call(ask, this.#address, "how are you", { timeoutMs: 500 }).then(
      (text) => assert(text === "HOW ARE YOU", `answered ${text}`),
      () => undefined,
    );
    await using link = await rpc.dial(talk, this.#address, new AbortController().signal);
    void this.#hear(link);
    // A half-open link never ends by itself: give up after so many words, as a lease would.
    for (let word = 0; word < 40; word++) {
      if (!link.send(String(word))) await link.drained();
      await this.#sleep();
    }
    await question;
  }

  async #hear(link: Link<string, string>): Promise<void> {
    for await (const _ of link.incoming) this.#answered();
  }

  #sleep(): Promise<void> {
    const { clock, random } = this.#context.env;
    return new Promise((resolve) => clock.setTimer(clock.nowMs() + 1 + random.int(100), resolve));
  }
}
