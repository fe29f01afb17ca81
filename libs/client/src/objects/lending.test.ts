import { ManualClock } from "@heddle/port-rpc/testing";
import { expect, test } from "vitest";
import { LEND_AFTER_MS } from "../limits.ts";
import { Lending } from "./lending.ts";

function lendingOf(): { readonly clock: ManualClock; readonly lending: Lending; readonly slots: { lent: number } } {
  const clock = new ManualClock();
  const slots = { lent: 0 };
  const lending = new Lending(clock, () => {
    slots.lent++;
    return { [Symbol.dispose]: () => void slots.lent-- };
  });
  return { clock, lending, slots };
}

test("a task lends its slot once while it waits for others, and has it back when nothing waits any more", async () => {
  const { clock, lending, slots } = lendingOf();
  lending.waiting(1);
  await clock.advance(LEND_AFTER_MS);
  lending.waiting(2);
  await clock.advance(LEND_AFTER_MS);
  expect(slots.lent).toBe(1);
  lending.waiting(1);
  expect(slots.lent).toBe(1);
  lending.waiting(0);
  expect(slots.lent).toBe(0);
});

test("what is answered in no time lends nothing, however often", async () => {
  const { clock, lending, slots } = lendingOf();
  for (let turn = 0; turn < 3; turn++) {
    lending.waiting(1);
    await clock.advance(LEND_AFTER_MS - 1);
    lending.waiting(0);
  }
  await clock.advance(LEND_AFTER_MS);
  expect([slots.lent, clock.timerCount]).toEqual([0, 0]);
});
