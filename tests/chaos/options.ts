import { parseArgs } from "node:util";
import { type FaultKind, faultKinds } from "./kinds.ts";

/** What a run is told. */
export interface ChaosOptions {
  /** Of everything that is drawn: the plan of faults, and what clients do. */
  readonly seed: number;
  /** How long faults come. */
  readonly minutes: number;
  /** Least and longest time from one fault to the next. */
  readonly faultEveryS: readonly [least: number, most: number];
  readonly kinds: readonly FaultKind[];
  /** Where the report goes as JSON. */
  readonly report: string | undefined;
  readonly agents: number;
  readonly clients: number;
  /** Silence after which a party is given up. Faults last for a part of it, or somewhat longer than it. */
  readonly leaseMs: number;
}

export const usage = `npm run chaos -- [options]
  --seed N          of the faults and of what clients do; by chance unless given
  --minutes M       how long faults come (10)
  --fault-every A-B seconds from one fault to the next (10-30)
  --only KIND,...   some of ${faultKinds.join(", ")}
  --not KIND,...    all but these
  --report FILE     what happened, as JSON
  --agents N        (4)
  --clients N       (8)
  --lease-ms MS     leases of everybody; faults last for a part of them, or somewhat longer (15000)`;

/** Somebody asked for what there is not. */
export class OptionsError extends Error {}

/** Throws OptionsError for options that there are not and for values that cannot be. `chance` draws a seed. */
export function parseOptions(args: readonly string[], chance: () => number): ChaosOptions {
  const given = valuesOf(args);
  const [least = Number.NaN, most = least] = given["fault-every"].split("-").map(Number);
  if (!(least >= 0.1 && most >= least))
    throw new OptionsError(`--fault-every must be seconds such as 10-30, got ${given["fault-every"]}`);
  const excluded = new Set(kindsIn(given.not, "--not"));
  const kinds = (given.only === undefined ? faultKinds : kindsIn(given.only, "--only")).filter(
    (kind) => !excluded.has(kind),
  );
  return {
    seed: given.seed === undefined ? chance() : numberIn(given.seed, "--seed", 0),
    minutes: numberIn(given.minutes, "--minutes", 0.05),
    faultEveryS: [least, most],
    kinds,
    report: given.report,
    agents: numberIn(given.agents, "--agents", 1),
    clients: numberIn(given.clients, "--clients", 1),
    leaseMs: numberIn(given["lease-ms"], "--lease-ms", 2_000),
  };
}

/** The arguments by which a run is repeated. */
export function argumentsOf(options: ChaosOptions): string {
  const { seed, minutes, faultEveryS, kinds, agents, clients, leaseMs } = options;
  const words = [
    `--seed ${seed} --minutes ${minutes} --fault-every ${faultEveryS.join("-")}`,
    ...(kinds.length === faultKinds.length ? [] : [`--only ${kinds.join(",")}`]),
    ...(agents === 4 ? [] : [`--agents ${agents}`]),
    ...(clients === 8 ? [] : [`--clients ${clients}`]),
    ...(leaseMs === 15_000 ? [] : [`--lease-ms ${leaseMs}`]),
  ];
  return words.join(" ");
}

function numberIn(text: string, name: string, least: number): number {
  const number = Number(text);
  if (Number.isFinite(number) && number >= least) return number;
  throw new OptionsError(`${name} must be a number from ${least}, got ${text}`);
}

function kindsIn(text: string | undefined, name: string): FaultKind[] {
  const words = text === undefined ? [] : text.split(",").map((word) => word.trim());
  return words.map((word) => {
    const kind = faultKinds.find((each) => each === word);
    if (kind === undefined) throw new OptionsError(`${name} knows ${faultKinds.join(", ")}, not ${word}`);
    return kind;
  });
}

function valuesOf(args: readonly string[]) {
  const options = {
    seed: { type: "string" },
    minutes: { type: "string", default: "10" },
    "fault-every": { type: "string", default: "10-30" },
    only: { type: "string" },
    not: { type: "string" },
    report: { type: "string" },
    agents: { type: "string", default: "4" },
    clients: { type: "string", default: "8" },
    "lease-ms": { type: "string", default: "15000" },
  } as const;
  try {
    return parseArgs({ args: [...args], options }).values;
  } catch (cause) {
    throw new OptionsError(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}
