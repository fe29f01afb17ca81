import { FRAME_BYTES_MAX, FRAME_ENTRIES_MAX, SESSION_WINDOW_BYTES } from "@heddle/kernel";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ENTRY_OVERHEAD_BYTES, UNHURRIED_MS } from "./limits.ts";
import { existing, heartbeatMs, leaseMs, rawServer, settle, type Word, World, words } from "./session-kit.ts";

describe("what a session delivers", () => {
  test("entries of one turn leave in one frame, both ways, in order", async () => {
    await using world = await World.open();
    const [session, heard] = world.dial();
    await settle();
    for (const word of words("a", 5)) session.send(word);
    for (const word of words("b", 5)) world.talkers.session().send(word, 1);
    await settle();
    expect(world.talkers.ears().words).toEqual(words("a", 5));
    expect(world.talkers.ears().batches).toEqual([5]);
    expect(heard.words).toEqual(words("b", 5));
    expect(heard.batches).toEqual([5]);
  });

  test("what is sent before the session is connected arrives once it is, and an owner may send from onSession on", async () => {
    await using world = await World.open({
      handler: (session, heard) => {
        session.send("first word");
        return heard;
      },
    });
    const [session, heard] = world.dial();
    session.send("early");
    await settle();
    expect(world.talkers.ears().words).toEqual(["early"]);
    expect(heard.words).toEqual(["first word"]);
  });

  test("a turn's entries are split into frames of at most the entry limit", async () => {
    await using world = await World.open();
    const [session] = world.dial();
    await settle();
    for (const word of words("w", 2 * FRAME_ENTRIES_MAX + 1)) session.send(word);
    await settle();
    expect(world.talkers.ears().batches).toEqual([FRAME_ENTRIES_MAX, FRAME_ENTRIES_MAX, 1]);
    expect(world.talkers.ears().words).toEqual(words("w", 2 * FRAME_ENTRIES_MAX + 1));
  });

  test("a turn's bulk is split into frames of at most the byte limit", async () => {
    await using world = await World.open();
    const [session] = world.dial();
    await settle();
    const third = FRAME_BYTES_MAX / 3 - ENTRY_OVERHEAD_BYTES;
    for (const word of words("w", 7)) session.send(word, third);
    await settle();
    expect(world.talkers.ears().batches).toEqual([3, 3, 1]);
  });

  test("control overtakes bulk that waits for the window", async () => {
    await using world = await World.open();
    const [session] = world.dial();
    const peers = await rawServer(world.network, "raw");
    const [toRaw] = world.dial({ address: "raw" });
    await settle();
    const peer = existing(peers[0]);
    peer.welcome();
    await settle();
    for (const word of words("bulk", 20)) toRaw.send(word, 128 * 1024);
    await settle();
    toRaw.send("control");
    await settle();
    expect(peer.words).toEqual([...words("bulk", 7), "control"]);
    peer.say(0, peer.sequences.length, []);
    await settle();
    expect(peer.words).toEqual([...words("bulk", 7), "control", ...words("bulk", 14).slice(7)]);
    expect(session.queuedBytes).toBe(0);
  });

  test("control sent in the same turn as bulk comes first", async () => {
    await using world = await World.open();
    const [session] = world.dial();
    await settle();
    session.send("bulk", 10);
    session.send("control");
    await settle();
    expect(world.talkers.ears().words).toEqual(["control", "bulk"]);
  });

  test("no more bulk than the window is ever unacknowledged, and drained tells when less than a window waits", async () => {
    await using world = await World.open();
    const peers = await rawServer(world.network, "raw");
    const [session] = world.dial({ address: "raw" });
    await settle();
    const peer = existing(peers[0]);
    peer.welcome();
    const size = 64 * 1024 - ENTRY_OVERHEAD_BYTES;
    for (const word of words("w", 48)) session.send(word, size);
    await settle();
    expect(peer.words.length).toBe(SESSION_WINDOW_BYTES / (64 * 1024));
    expect(session.queuedBytes).toBe(2 * SESSION_WINDOW_BYTES);
    let hasDrained = false;
    const drained = session.drained().then(() => {
      hasDrained = true;
    });
    peer.say(0, existing(peer.sequences.at(-1)), []);
    await settle();
    expect(session.queuedBytes).toBe(SESSION_WINDOW_BYTES);
    expect(hasDrained).toBe(false);
    peer.say(0, existing(peer.sequences.at(-1)), []);
    await drained;
    expect(session.queuedBytes).toBe(0);
  });

  test("an entry larger than the window leaves alone, after everything before it is acknowledged", async () => {
    await using world = await World.open();
    const [session] = world.dial();
    await settle();
    session.send("small", 10);
    session.send("huge", 2 * SESSION_WINDOW_BYTES);
    session.send("last", 10);
    await world.clock.advance(heartbeatMs);
    expect(world.talkers.ears().words).toEqual(["small", "huge", "last"]);
    expect(world.talkers.ears().batches).toEqual([1, 1, 1]);
  });

  test("drained rejects when aborted and resolves when the session ends", async () => {
    await using world = await World.open();
    const [session] = world.dial({ address: "nowhere" });
    for (const word of words("w", 20)) session.send(word, 128 * 1024);
    const controller = new AbortController();
    const aborted = session.drained(controller.signal);
    const ended = session.drained();
    controller.abort(new Error("enough"));
    await expect(aborted).rejects.toThrow("enough");
    await world.clock.advance(leaseMs + heartbeatMs);
    await ended;
  });
});

describe("an entry in no hurry", () => {
  test("rides with the next frame, and keeps its place in its lane", async () => {
    await using world = await World.open();
    const [session] = world.dial();
    await settle();
    session.send("a", 0);
    session.send("b", 0, "unhurried");
    await settle();
    session.send("c", 0, "unhurried");
    await settle();
    expect(world.talkers.ears().batches).toEqual([2]);
    session.send("d", 0);
    await settle();
    expect(world.talkers.ears().words).toEqual(["a", "b", "c", "d"]);
    expect(world.talkers.ears().batches).toEqual([2, 2]);
  });

  test("leaves by itself when nothing else does, and before the session is closed", async () => {
    await using world = await World.open();
    const [session] = world.dial();
    await settle();
    session.send("a", undefined, "unhurried");
    await world.clock.advance(UNHURRIED_MS - 1);
    expect(world.talkers.ears().words).toEqual([]);
    await world.clock.advance(1);
    expect(world.talkers.ears().words).toEqual(["a"]);
    session.send("b", 0, "unhurried");
    await session.close();
    expect(world.talkers.ears().words).toEqual(["a", "b"]);
    await world.clock.advance(leaseMs);
    expect(world.clock.timerCount).toBe(0);
  });

  test("holds back nothing that waits for the window", async () => {
    await using world = await World.open();
    const peers = await rawServer(world.network, "raw");
    const [session] = world.dial({ address: "raw", sizes: { windowBytes: 100 } });
    await settle();
    const peer = existing(peers[0]);
    peer.welcome();
    await settle();
    session.send("a", 80);
    session.send("b", 80);
    await settle();
    session.send("c", 0, "unhurried");
    peer.say(0, 1, []);
    await settle();
    expect(peer.words).toEqual(["a", "b"]);
    peer.say(0, 2, []);
    await settle();
    expect(peer.words).toEqual(["a", "b", "c"]);
  });
});

describe("acknowledgements", () => {
  test("leave in the same turn where the link cannot tell how large frames are", async () => {
    await using world = await World.open();
    const peer = await world.raw();
    peer.hello();
    await settle();
    peer.say(1, 0, ["w"]);
    await settle();
    expect(peer.frames.at(-1)).toEqual({ sequence: 0, acknowledged: 1, control: undefined, entries: [] });
  });

  test("ride on the entries that answer", async () => {
    await using world = await World.open({
      handler: (session, heard) => ({ ...heard, entries: () => session.send("answer") }),
    });
    const peer = await world.raw();
    peer.hello();
    peer.say(1, 0, ["question"]);
    await settle();
    expect(peer.frames.slice(1)).toEqual([{ sequence: 1, acknowledged: 1, control: undefined, entries: ["answer"] }]);
  });

  test("a side with nothing to say says so at every heartbeat", async () => {
    await using world = await World.open();
    const peer = await world.raw();
    peer.hello();
    await settle();
    const before = peer.frames.length;
    await world.clock.advance(4 * heartbeatMs);
    const beats = peer.frames.slice(before);
    expect(beats.length).toBeGreaterThanOrEqual(4);
    expect(new Set(beats.map(({ sequence }) => sequence))).toEqual(new Set([0]));
  });
});

describe("across cuts", () => {
  test("a cut at any point of a conversation loses and repeats nothing", async () => {
    const steps = 24;
    for (let cutAt = 0; cutAt < steps; cutAt++) {
      for (const turnsBefore of [0, 1, 2]) {
        await using world = await World.open();
        const [session, heard] = world.dial();
        await settle();
        for (let step = 0; step < steps; step++) {
          if (step === cutAt) {
            for (let turns = 0; turns < turnsBefore; turns++) await Promise.resolve();
            world.cut();
          }
          session.send(`up${step}`);
          world.talkers.session().send(`down${step}`, 100);
          await Promise.resolve();
        }
        await world.clock.advance(5_000);
        expect(world.talkers.ears().words).toEqual(words("up", steps));
        expect(heard.words).toEqual(words("down", steps));
        expect(heard.ends).toEqual([]);
        expect(world.talkers.sessions.length).toBe(1);
      }
    }
  });

  test("whatever is cut, refused or swallowed, and whatever the windows, each lane arrives once and in order", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          windowBytes: fc.integer({ min: 200, max: 4_000 }),
          frameBytesMax: fc.integer({ min: 100, max: 2_000 }),
          frameEntriesMax: fc.integer({ min: 1, max: 8 }),
          retainedFramesMax: fc.integer({ min: 1, max: 8 }),
          acknowledgeFrames: fc.integer({ min: 1, max: 8 }),
        }),
        fc.array(step, { minLength: 5, maxLength: 60 }),
        async (sizes, steps) => {
          await using world = await World.open({ acceptor: { sizes } });
          const [session, heard] = world.dial({ sizes });
          await settle();
          const sent = { up: [[], []] as [Word[], Word[]], down: [[], []] as [Word[], Word[]] };
          for (const [index, { act, count, bulk, ms }] of steps.entries()) {
            if (act === "cut") world.cut();
            else if (act === "wait") await world.clock.advance(ms);
            else if (act === "turn") await settle();
            else {
              const [from, record] = act === "up" ? [session, sent.up] : [world.talkers.session(), sent.down];
              for (const word of words(`${act}${index}-`, count)) {
                from.send(word, bulk < 0 ? undefined : bulk);
                record[bulk < 0 ? 0 : 1].push(word);
              }
            }
          }
          await world.clock.advance(10 * heartbeatMs * (1 + steps.length));
          const lanes = (all: Word[], [control, bulk]: [Word[], Word[]]) => {
            const isBulk = new Set(bulk);
            expect(all.filter((word) => !isBulk.has(word))).toEqual(control);
            expect(all.filter((word) => isBulk.has(word))).toEqual(bulk);
          };
          lanes(world.talkers.ears().words, sent.up);
          lanes(heard.words, sent.down);
          expect([heard.ends, world.talkers.ears().ends]).toEqual([[], []]);
        },
      ),
      { numRuns: 60, seed: 20_261_122 },
    );
  });
});

const step = fc.record({
  act: fc.constantFrom("up", "up", "down", "down", "turn", "turn", "wait", "cut" as const),
  count: fc.integer({ min: 1, max: 20 }),
  bulk: fc.integer({ min: -300, max: 600 }),
  ms: fc.integer({ min: 1, max: 400 }),
});
