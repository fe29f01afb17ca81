import { decodeValue, type Shared, type SharedDescription, SharedReference, shared } from "@heddle/wire";
import { expect, onTestFinished, test } from "vitest";
import { createShipper } from "./shipper.ts";

/** A handle of a shared object that the manager has not made yet. */
class Handle implements Shared {
  pending: Promise<void> | undefined;

  constructor(pending?: Promise<void>) {
    this.pending = pending;
  }

  append(): void {}

  [shared](): SharedDescription {
    return { kind: "list", object: "@primes" };
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
