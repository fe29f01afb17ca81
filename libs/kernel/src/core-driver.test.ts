import { expect, test } from "vitest";
import { CoreDriver } from "./core-driver.ts";

const clock = { nowMs: () => 7, setTimer: () => ({ [Symbol.dispose]: () => undefined }) };

test("wishes are performed in order, and a fact that one brings about waits until all of them are", () => {
  const told: string[] = [];
  const core = {
    step: (nowMs: number, input: string) => {
      told.push(`${input} at ${nowMs}`);
      return input === "first" ? ["a", "b"] : [];
    },
  };
  const driver: CoreDriver<string, string> = new CoreDriver(core, clock, (effect) => {
    told.push(effect);
    if (effect === "a") driver.feed("second");
  });
  driver.feed("first");
  expect(told).toEqual(["first at 7", "a", "b", "second at 7"]);
});

test("a core that throws leaves the driver free", () => {
  const driver = new CoreDriver<string, never>(
    {
      step: () => {
        throw new Error("broken");
      },
    },
    clock,
    () => undefined,
  );
  expect(() => driver.feed("x")).toThrow("broken");
  expect(driver.busy).toBe(false);
});
