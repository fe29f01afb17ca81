import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { UnavailableError } from "@heddle/kernel";
import { type Link, streamRoute, unaryRoute } from "@heddle/port-rpc";
import { describe, expect, it } from "vitest";
import { ask, chatter, talk } from "./chatter.ts";
import { SimFailure } from "./event-loop.ts";
import { calmPlan, type FaultPlan, stormPlan } from "./fault-plan.ts";
import type { HostContext, SimHost } from "./host.ts";
import { createWorld, type World } from "./world.ts";

const noSignal = new AbortController().signal;
const later = (ms: number) => ({ deadlineMs: ms, done: () => false });

/** A server that keeps what it hears, and a client for the test to act as. */
interface Stage {
  readonly world: World;
  readonly server: SimHost;
  readonly clientHost: SimHost;
  readonly client: HostContext;
  readonly heard: string[];
  /** The server's ends of links, in order of arrival. */
  readonly accepted: Link<string, string>[];
  readonly dial: () => Promise<Link<string, string>>;
}

function stage(seed: number, plan: FaultPlan = { ...calmPlan, delayMs: [1, 5] }): Stage {
  const world = createWorld(seed, { plan });
  const heard: string[] = [];
  const accepted: Link<string, string>[] = [];
  const read = async (link: Link<string, string>): Promise<void> => {
    accepted.push(link);
    for await (const text of link.incoming) heard.push(text);
  };
  const server = world.host("server", ({ rpc }) =>
    rpc.listen("server:1", [
      streamRoute(talk, (link) => void read(link)),
      unaryRoute(ask, (text) => Promise.resolve(text.toUpperCase())),
    ]),
  );
  let client: HostContext | undefined;
  const boot = (context: HostContext): undefined => {
    client = context;
  };
  const clientHost = world.host("client", boot, { mayCrash: false });
  if (client === undefined) throw new TypeError("boot is synchronous");
  const { rpc } = client;
  return { world, server, clientHost, client, heard, accepted, dial: () => rpc.dial(talk, "server:1", noSignal) };
}

describe("a seed", () => {
  it("gives the same run every time, under every fault at once, and another seed gives another", async () => {
    const digests: string[] = [];
    for (const seed of [1, 1, 2]) digests.push((await chatter(seed, stormPlan)).digest);
    expect(digests[0]).toBe(digests[1]);
    expect(digests[0]).not.toBe(digests[2]);
  });

  it("gives the same run in another process", async () => {
    const script = `
      const { chatter } = await import(${JSON.stringify(new URL("./chatter.ts", import.meta.url).href)});
      const { stormPlan } = await import(${JSON.stringify(new URL("./fault-plan.ts", import.meta.url).href)});
      process.stdout.write((await chatter(7, stormPlan)).digest);`;
    const args = ["--conditions=@heddle/source", "--input-type=module", "-e", script];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    expect(stdout).toBe((await chatter(7, stormPlan)).digest);
  });

  it("never makes a gap or a repetition within a link, and after healing everybody is answered again", async () => {
    for (let seed = 10; seed < 20; seed++) {
      const report = await chatter(seed, stormPlan);
      expect(Math.min(...report.answeredAfterHeal), `seed ${seed}`).toBeGreaterThan(100);
    }
  });
});

describe("a link", () => {
  it("delivers in order whatever the delays", async () => {
    const { world, heard, dial } = stage(1);
    const link = await world.drive(dial());
    const words = Array.from({ length: 200 }, (_, at) => String(at));
    for (const word of words) link.send(word);
    await world.drive(link[Symbol.asyncDispose]());
    expect(heard).toEqual(words);
    expect(await link.closed).toEqual({ reason: "local" });
  });

  it("loses a suffix when it breaks, never something in the middle, and both sides hear of it", async () => {
    const lengths = new Set<number>();
    for (let seed = 0; seed < 30; seed++) {
      const { world, heard, accepted, dial } = stage(seed);
      const link = await world.drive(dial());
      let sent = 0;
      world.rule(() => (++sent === 15 ? "sever" : "pass"));
      for (let at = 0; at < 20; at++) link.send(String(at));
      expect(await world.drive(link.closed)).toMatchObject({ reason: "broken" });
      expect(await world.drive(accepted[0]?.closed ?? Promise.reject())).toMatchObject({ reason: "broken" });
      expect(heard).toEqual(Array.from({ length: heard.length }, (_, at) => String(at)));
      lengths.add(heard.length);
    }
    expect(Math.max(...lengths)).toBeLessThan(15);
    expect(lengths.size).toBeGreaterThan(3);
  });

  it("holds back a sender whose peer does not read", async () => {
    const { world, client } = stage(1);
    let accepted: Link<string, string> | undefined;
    world.host("slow", ({ rpc }) =>
      rpc.listen("slow:1", [
        streamRoute(talk, (link) => {
          accepted = link;
        }),
      ]),
    );
    const link = await world.drive(client.rpc.dial(talk, "slow:1", noSignal));
    while (link.send("x".repeat(10_000)));
    let isDrained = false;
    const drained = link.drained().then(() => {
      isDrained = true;
    });
    await world.run(later(10_000));
    expect(isDrained).toBe(false);
    const reader = accepted?.incoming[Symbol.asyncIterator]();
    for (let read = 0; read < 5; read++) await reader?.next();
    await world.drive(drained);
  });

  it("is half-open in a partition: nothing arrives, nobody is told, and after the partition it goes on or is reset", async () => {
    const ends = new Set<string>();
    for (let seed = 0; seed < 10; seed++) {
      const { world, heard, dial } = stage(seed);
      const link = await world.drive(dial());
      world.part("client", "server");
      link.send("hello");
      await world.run(later(60_000));
      expect(heard).toEqual([]);
      world.rejoin("client", "server");
      let end = "open";
      void link.closed.then(({ reason }) => {
        end = reason;
      });
      await world.run(later(61_000));
      expect(heard).toEqual(end === "open" ? ["hello"] : []);
      ends.add(end);
    }
    expect([...ends].sort()).toEqual(["broken", "open"]);
  });
});

describe("a dial", () => {
  it("is refused by a machine that is down, and by a port that nobody serves", async () => {
    const { world, server, client, dial } = stage(1);
    await expect(world.drive(client.rpc.dial(talk, "server:2", noSignal))).rejects.toThrow(UnavailableError);
    server.crash();
    await expect(world.drive(dial())).rejects.toThrow(UnavailableError);
  });

  it("into a partition ends by itself, or with the caller's signal", async () => {
    const { world, client, dial } = stage(1);
    world.part("client", "server");
    await expect(world.drive(dial())).rejects.toThrow("did not answer");
    const abort = new AbortController();
    const dialled = client.rpc.dial(talk, "server:1", abort.signal);
    abort.abort(new Error("enough"));
    await expect(world.drive(dialled)).rejects.toThrow("enough");
  });
});

describe("a machine", () => {
  it("that is paused keeps its messages and timers, and then sees that time has jumped", async () => {
    const { world, clientHost, client, accepted, dial } = stage(1);
    const link = await world.drive(dial());
    const { clock } = client.env;
    const startMs = clock.nowMs();
    const seen: [string, number][] = [];
    clock.setTimer(startMs + 100, () => seen.push(["timer", clock.nowMs() - startMs]));
    void (async () => {
      for await (const text of link.incoming) seen.push([text, clock.nowMs() - startMs]);
    })();
    clientHost.pause(10_000);
    accepted[0]?.send("word");
    await world.run(later(9_000));
    expect(seen).toEqual([]);
    await world.run(later(11_000));
    expect(seen).toEqual([
      ["word", 10_000],
      ["timer", 10_000],
    ]);
  });

  it("that crashes loses its memory and its timers but not its disk, and its peers' links break", async () => {
    const world = createWorld(3);
    const boots: { incarnation: number; disk: string[] }[] = [];
    let ticks = 0;
    const host = world.host("node", ({ env, disk }) => {
      boots.push({ incarnation: boots.length + 1, disk: [...disk.keys()] });
      disk.set(`boot-${boots.length}`, new Uint8Array());
      env.clock.setTimer(env.clock.nowMs() + 1_000, () => ticks++);
      return undefined;
    });
    await world.run(later(500));
    host.restart();
    await world.run(later(5_000));
    expect(ticks).toBe(1);
    expect(boots).toEqual([
      { incarnation: 1, disk: [] },
      { incarnation: 2, disk: ["boot-1"] },
    ]);
  });

  it("that is stopped politely ends its program first, unless it crashes meanwhile", async () => {
    const world = createWorld(1);
    const told: string[] = [];
    const slowToEnd = (name: string) =>
      world.host(name, ({ env }) => ({
        [Symbol.asyncDispose]: () =>
          new Promise((resolve) => {
            env.clock.setTimer(env.clock.nowMs() + 5_000, () => {
              told.push(`${name} ended`);
              resolve();
            });
          }),
      }));
    const [polite, crashed] = [slowToEnd("polite"), slowToEnd("crashed")];
    const stops = Promise.all([polite.stop(), crashed.stop()]);
    crashed.crash();
    await world.drive(stops);
    expect(told).toEqual(["polite ended"]);
    expect([polite.state, crashed.state]).toEqual(["down", "down"]);
  });

  it("that dies breaks its peers' links; one that dies silently leaves them open until it boots again", async () => {
    for (const silent of [false, true]) {
      const { world, server, dial } = stage(1);
      const link = await world.drive(dial());
      let end = "open";
      void link.closed.then(({ reason }) => {
        end = reason;
      });
      server.crash({ silent });
      await world.run(later(60_000));
      expect(end).toBe(silent ? "open" : "broken");
      server.restart();
      expect(await world.drive(link.closed)).toMatchObject({ reason: "broken" });
    }
  });

  it("answers questions with what its route answers or throws", async () => {
    const { world, client, server } = stage(1);
    const asked = () => world.drive(client.rpc.call(ask, "server:1", "so", { timeoutMs: 1_000 }));
    expect(await asked()).toBe("SO");
    server.pause();
    await expect(asked()).rejects.toThrow("took more than 1000 ms");
    server.crash();
    await expect(asked()).rejects.toThrow(UnavailableError);
  });
});

describe("healing", () => {
  it("brings back what faults put down, ends outages and lets nothing go wrong any more", async () => {
    for (let seed = 0; seed < 10; seed++) {
      const { world, server, clientHost, dial } = stage(seed, stormPlan);
      await world.run(later(30_000));
      world.heal();
      expect([server.state, clientHost.state]).toEqual(["up", "up"]);
      await world.run(later(31_000));
      const link = await world.drive(dial());
      let end = "open";
      void link.closed.then(({ reason }) => {
        end = reason;
      });
      await world.run(later(200_000));
      expect(end, `seed ${seed}`).toBe("open");
    }
  });
});

describe("drive", () => {
  it("says what is pending when nothing is left that could happen", async () => {
    const { world } = stage(1);
    await expect(world.drive(new Promise(() => undefined))).rejects.toThrow(/nothing is left.*machine server#1 is up/s);
  });

  it("fails with the moment and the seed when a program breaks down", async () => {
    const world = createWorld(42);
    world.host("node", ({ env }) => {
      env.clock.setTimer(env.clock.nowMs() + 5, () => {
        throw new TypeError("oops");
      });
      return undefined;
    });
    const run = world.run(later(1_000));
    await expect(run).rejects.toThrow(SimFailure);
    await expect(run).rejects.toThrow(/oops.*seed 42 at 5 ms/s);
  });
});
