import { createRequire } from "node:module";
import { basename, isAbsolute } from "node:path";
import type { AnyFunction } from "@heddle/port-shipper";
import { decodeValue } from "@heddle/wire";
import { FunctionInspector } from "../inspect.ts";
import { Capturer, type CapturerOptions } from "./capturer.ts";
import type { CaptureGraph, Cell } from "./graph.ts";

/** A capturer in a program without stand-ins whose entry is no file of the tests. */
export function testCapturer(options: Partial<CapturerOptions> = {}): Capturer {
  return new Capturer({
    inspector: new FunctionInspector(),
    isEntry: () => false,
    memberOf: () => undefined,
    ...options,
  });
}

/** A module as Node.js itself loads it, past vitest. */
export function loadNatively(path: string): Record<string, AnyFunction> {
  return createRequire(import.meta.url)(path) as Record<string, AnyFunction>;
}

/** Each cell in a line, such as "function f > a, b"; paths by their last part. */
export function cellsOf({ cells }: CaptureGraph): string[] {
  return cells.map((cell) => lineOf(cell, cells));
}

function lineOf(cell: Cell, cells: readonly Cell[]): string {
  const nameOf = (number: number): string => cells[number]?.name || `#${number}`;
  switch (cell.kind) {
    case "code": {
      const used = cell.references.map((at) => nameOf(at.cell)).join(", ");
      return `${cell.form} ${cell.name}${used === "" ? "" : ` > ${used}`}`;
    }
    case "import": {
      const named = isAbsolute(cell.specifier) ? basename(cell.specifier) : cell.specifier;
      return `import ${cell.imported} of ${named}`;
    }
    case "require":
      return `require ${cell.name} = ${cell.source.text.slice(cell.text.start, cell.text.end)}`;
    case "native":
      return `native ${cell.expression}${cell.module === undefined ? "" : ` of ${cell.module}`}`;
    case "value":
      return `value ${cell.name}`;
  }
}

/** The captured values; functions among them as "cell N". */
export function valuesOf({ functionsInValues }: CaptureGraph, bytes: Uint8Array): unknown {
  const reviveFunction = (index: unknown): string => `cell ${functionsInValues[index as number]}`;
  return decodeValue(bytes, "value", { reviveFunction });
}
