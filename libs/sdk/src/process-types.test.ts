import { expect, test } from "vitest";
import { activeChildren, Process, type ProcessOptions, type Queue } from "./index.ts";

test("a process takes the arguments of its target, and none less", () => {
  const check = (options: ProcessOptions, queue: Queue<number>): void => {
    const add = (_a: number, _b = 1): number => 0;
    const all: Process[] = [
      new Process({ target: add, args: [1] }),
      new Process({ target: add, args: [1, 2], name: "adds" }),
      new Process({ target: () => undefined }),
      new Process({ target: () => undefined, args: [] }),
      new Process({ target: async (to: Queue<number>) => to.put(1), args: [queue], daemon: true }),
      new Process({ target: (...numbers: number[]) => numbers, args: [1, 2, 3] }),
      new Process({ target: (...numbers: number[]) => numbers }),
      new Process({ target: add, args: [1, 2] as const }),
      new Process(options),
      ...activeChildren(),
    ];
    // @ts-expect-error: text is no number
    new Process({ target: (_a: number) => undefined, args: ["x"] });
    // @ts-expect-error: an argument is missing
    new Process({ target: (_a: number) => undefined, args: [] });
    // @ts-expect-error: all arguments are missing
    new Process({ target: (_a: number) => undefined });
    // @ts-expect-error: it takes none
    new Process({ target: () => undefined, args: [1] });
    // @ts-expect-error: there is no such option
    new Process({ target: () => undefined, deamon: true });
    expect(all).toBeDefined();
  };
  expect(check).toBeTypeOf("function");
});
