import { decodeValue, type Shared, type SharedDescription, SharedReference, shared } from "@heddle/wire";
import { expect, onTestFinished, test } from "vitest";
import { createShipper } from "./shipper.ts";

/** A handle of a shared object that the manager has not made yet. */
class Handle implements Shared {
  pending: Promise<void> | undefined;
  readonly #object: string;

  constructor(pending?: Promise<void>, object = "@primes") {
    this.pending = pending;
    this.#object = object;
  }

  append(): void {}

  [shared](): SharedDescription {
    return { kind: "list", object: this.#object };
  }
}

test("a closure takes handles of shared objects along as references, once their objects are there", async () => {
  const shipper = createShipper();
  onTestFinished(() => shipper[Symbol.asyncDispose]());
  const made = Promise.withResolvers<void>();
  const primes = new Handle(made.promise);
  let isShipped = false;
  const shipping = shipper.ship((n: number) => {
    primes.append();
    return n;
  });
  void shipping.then(() => {
    isShipped = true;
  });
  const other = await shipper.ship((n: number) => n + 1); // takes as long, and has nothing to wait for
  expect(other.displayName).toBe("anonymous");
  expect(isShipped).toBe(false);
  made.resolve();
  const { captured } = await shipping;
  expect(decodeValue(captured as Uint8Array)).toEqual([new SharedReference({ kind: "list", object: "@primes" })]);
});

test("a closure whose shared object cannot be made is not shipped, and the reason is the object's", async () => {
  const shipper = createShipper();
  onTestFinished(() => shipper[Symbol.asyncDispose]());
  const primes = new Handle(Promise.reject(new Error("no manager")));
  await expect(shipper.ship(() => primes.append())).rejects.toThrow("no manager");
});

test("a closure says that it captures an object without a name, each time that it is shipped", async () => {
  const shipper = createShipper();
  onTestFinished(() => shipper[Symbol.asyncDispose]());
  let primes = new Handle();
  const fn = (): void => primes.append();
  expect((await shipper.ship(fn)).unnamed).toBeUndefined();
  primes = new Handle(undefined, "a".repeat(32));
  expect((await shipper.ship(fn)).unnamed).toBe("a list without a name (aaaaaaaa)");
  primes = new Handle();
  expect((await shipper.ship(fn)).unnamed).toBeUndefined();
});

test("code is the same wherever in its file it stands, and other code is not", async () => {
  const shipper = createShipper();
  onTestFinished(() => shipper[Symbol.asyncDispose]());
  const fns = [];
  for (const by of [1, 2]) fns.push((n: number) => n * by);
  fns.push((n: number) => n * 3);
  const by = 1;
  fns.push((n: number) => n * by);
  const shipped = await Promise.all(fns.map((fn) => shipper.ship(fn)));
  const [first, second, other, moved] = shipped.map(({ artifact }) => shipper.codeHash(artifact));
  expect([second, moved]).toEqual([first, first]);
  expect(other).not.toBe(first);
  expect(shipped[3]?.artifact.hash).not.toBe(shipped[0]?.artifact.hash);
  expect(shipper.sha256Hex(new Uint8Array())).toMatch(/^e3b0c44298fc1c149afbf4c8996fb924/);
});
