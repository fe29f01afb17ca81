import type { OperationRequest } from "@heddle/client";
import { encodeValue } from "@heddle/wire";
import { ClosedError, connect, EmptyError, NotHeldError, TimeoutError } from "heddle";
import { expect, test } from "vitest";
import { ServedManager } from "../../harness/served-manager.ts";
import { failure } from "../../harness/waiting.ts";

const value = (content: unknown): Uint8Array => encodeValue(content, "value");

/** What a client that checks nothing itself may ask, and how the manager refuses it. */
const refusals: Readonly<Record<string, readonly [request: OperationRequest, error: string, words: RegExp]>> = {
  "an object that never was": [
    { verb: "list-append", object: "f".repeat(32), values: [value(1)] },
    "NotFoundError",
    /ffffffff/,
  ],
  "a name that never was": [{ verb: "dict-get", object: "@nobody", values: [value("a")] }, "NotFoundError", /nobody/],
  "what is no id": [{ verb: "list-length", object: "what" }, "NotFoundError", /what/],
  "an operation of another type": [{ verb: "list-append", object: "@dict", values: [value(1)] }, "TypeError", /dict/],
  "a name of another type": [
    { verb: "create", object: "@dict", values: [value({ kind: "list" })] },
    "ConflictError",
    /dict.*list/,
  ],
  "a type that there is not": [
    { verb: "create", object: "@new", values: [value({ kind: "tree" })] },
    "InvalidArgumentError",
    /tree/,
  ],
  "a name of 10 MB": [
    { verb: "create", object: `@${"n".repeat(10_000_000)}`, values: [value({ kind: "list" })] },
    "LimitError",
    /name/i,
  ],
  "a key over its limit": [
    { verb: "dict-set", object: "@dict", values: [value("k".repeat(2_000)), value(1)] },
    "LimitError",
    /key/,
  ],
  "NaN as a key": [{ verb: "dict-set", object: "@dict", values: [value(Number.NaN), value(1)] }, "TypeError", /key/],
  "a release of what is not held": [{ verb: "lock-release", object: "@lock", numbers: [99] }, "NotHeldError", /lock/],
  "a key without its value": [
    { verb: "dict-set", object: "@dict", values: [value("a")] },
    "InvalidArgumentError",
    /value/,
  ],
};

test("what a manager over gRPC cannot do is refused in words, each with its own error; nothing is lost, before and after a kill", async () => {
  await using served = await ServedManager.start();
  await using fabric = await connect(await served.coordinates());
  await using manager = fabric.manager();
  const dict = manager.dict<string, number>([], { name: "dict" });
  await dict.set("__proto__", 2);
  await dict.set("constructor", 3);
  const list = manager.list<number>([1, 2, 3], { name: "list" });
  const lock = manager.lock({ name: "lock" });
  const guard = await lock.acquire();
  await list.created;
  const home = fabric.openObjects({});
  const seen: Record<string, unknown> = {};
  for (const [what, [request]] of Object.entries(refusals)) {
    const error = await home.call(request, () => "done").catch((thrown: unknown) => thrown);
    seen[what] = error instanceof Error ? [error.name, error.message.slice(0, 300)] : error;
  }
  expect(seen).toEqual(
    Object.fromEntries(
      Object.entries(refusals).map(([what, [, error, words]]) => [what, [error, expect.stringMatching(words)]]),
    ),
  );
  const other = fabric.manager({ ttlMs: 60_000 });
  const theirs = other.lock({ name: "lock" });
  expect(await failure(theirs.acquire({ timeoutMs: -5 }))).toBeInstanceOf(TimeoutError);
  expect(await failure(theirs.release())).toBeInstanceOf(NotHeldError);
  expect(await failure(other.queue().get({ timeoutMs: -5 }))).toBeInstanceOf(EmptyError);
  const waiting = failure(theirs.acquire());
  await other.connect();
  await other.close();
  for (const error of [await waiting, await failure(theirs.acquire())]) expect(error).toBeInstanceOf(ClosedError);
  expect(() => other.list()).toThrow(ClosedError);
  const check = async (): Promise<void> => {
    expect(await dict.entries()).toEqual([
      ["__proto__", 2],
      ["constructor", 3],
    ]);
    expect(await list.toArray()).toEqual([1, 2, 3]);
    expect(await lock.locked()).toBe(true);
    guard.assertHeld();
  };
  await check();
  await served.kill();
  await served.start();
  await check();
  await guard.release();
  await home.close();
}, 60_000);
