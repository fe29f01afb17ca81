import type { ContenderId } from "./contenders.ts";
import type { FigureId, Figures, FiguresByContender } from "./figures.ts";
import { type RowId, WORKERS } from "./rows.ts";

/** One thing that Heddle is to reach. Both bounds are in the unit of what was measured, computed from the same run. */
export interface Target {
  readonly row: RowId;
  readonly what: string;
  readonly unit: "/s" | "us" | "s" | "share";
  readonly kind: "at-least" | "at-most" | "below";
  /** Undefined when it, or what it is compared with, was not measured. */
  readonly value: number | undefined;
  readonly target: number | undefined;
  /** Undefined also when there is none. */
  readonly stretch: number | undefined;
  /** Where the bounds come from. */
  readonly from: string;
}

export type Verdict = "missed" | "met" | "met, stretch too" | "not measured";

const reachesBy = {
  "at-least": (value: number, limit: number): boolean => value >= limit,
  "at-most": (value: number, limit: number): boolean => value <= limit,
  below: (value: number, limit: number): boolean => value < limit,
};

/** The ratio says how many times as good as the target: 1 and more is met, whichever way is better. */
export function verdictOf({ kind, value, target, stretch }: Target): {
  readonly verdict: Verdict;
  readonly ratio: number | undefined;
} {
  if (value === undefined || target === undefined) return { verdict: "not measured", ratio: undefined };
  const reaches = (limit: number): boolean => reachesBy[kind](value, limit);
  const ratio = kind === "at-least" ? value / target : target / value;
  if (!reaches(target)) return { verdict: "missed", ratio };
  return { verdict: stretch !== undefined && reaches(stretch) ? "met, stretch too" : "met", ratio };
}

/** How much slower the core may be in its last tenth: differences below are noise on a shared machine. */
const FLAT_SHARE = 0.85;

type Known = number | undefined;
const times = (value: Known, factor: number): Known => (value === undefined ? undefined : value * factor);
const plus = (value: Known, more: number): Known => (value === undefined ? undefined : value + more);

/** All targets of the rows that were run. */
export function targetsOf(figures: FiguresByContender, rows: readonly RowId[]): Target[] {
  const of = (id: ContenderId, figure: FigureId): Known => figures.get(id)?.[figure];
  const heddles = [
    { id: "heddle-grpc", name: "over gRPC" },
    { id: "heddle-embedded", name: "embedded" },
  ] as const;
  const all = [
    ...heddles.flatMap(({ id, name }) => [
      ...noopTargets(`${name}, packed`, of(id, "noopsPerSecond"), of("python", "noopsPerSecond")),
      ...noopTargets(`${name}, unpacked`, of(id, "unpackedPerSecond"), of("python", "noopsPerSecond")),
    ]),
    ...applyTargets(of("heddle-grpc", "applyP50Us"), of("heddle-embedded", "applyP50Us"), of("python", "applyP50Us")),
    ...heddles.flatMap(({ id, name }) => [
      cubesTarget(name, of(id, "cubesS"), of("python", "cubesS")),
      typedCubesTarget(name, of(id, "typedCubesS"), of("plain", "cubesS")),
    ]),
    ...heddles.map(({ id, name }) => samplesTarget(name, of(id, "samplesS"), of("plain", "samplesS"))),
    ...heddles.map(({ id, name }) =>
      efficiencyTarget(name, [of(id, "serialPrimesS"), of("plain", "serialPrimesS")], of(id, "primesS")),
    ),
    ...schedulerTargets(
      of("scheduler", "decisionsPerSecond"),
      of("scheduler", "firstTenth"),
      of("scheduler", "lastTenth"),
    ),
    ...sharedTargets(figures),
    ...tlsTargets(figures.get("heddle-token") ?? {}, figures.get("heddle-tls") ?? {}),
  ];
  return all.filter(({ row }) => rows.includes(row));
}

/** Packed and unpacked alike: only unpacked does Heddle send as many tasks as Python does. */
function noopTargets(name: string, value: Known, python: Known): Target[] {
  const common = { row: "a", unit: "/s", kind: "at-least", value, stretch: 300_000 } as const;
  return [
    { ...common, what: `no-ops ${name}`, target: 200_000, from: "200,000/s, stretch 300,000/s" },
    {
      ...common,
      what: `no-ops ${name}, beside Python`,
      target: times(python, 3),
      stretch: undefined,
      from: "3x Python's imap",
    },
  ];
}

function applyTargets(served: Known, embedded: Known, python: Known): Target[] {
  const common = { row: "b", unit: "us", kind: "at-most" } as const;
  return [
    {
      ...common,
      what: "apply p50 over gRPC",
      value: served,
      target: times(python, 2.5),
      stretch: 200,
      from: "2.5x Python's p50, stretch 200 us",
    },
    {
      ...common,
      what: "apply p50 embedded",
      value: embedded,
      target: 70,
      stretch: 45,
      from: "70 us, stretch 45 us",
    },
  ];
}

function cubesTarget(name: string, value: Known, python: Known): Target {
  return {
    row: "c",
    what: `cubes ${name}, array`,
    unit: "s",
    kind: "at-most",
    value,
    target: times(python, 1 / 3),
    stretch: times(python, 1 / 4.5),
    from: "3x as fast as Python's map, stretch 4.5x",
  };
}

function typedCubesTarget(name: string, value: Known, plain: Known): Target {
  return {
    row: "c",
    what: `cubes ${name}, into Float64Array`,
    unit: "s",
    kind: "below",
    value,
    target: plain,
    stretch: undefined,
    from: "faster than the plain map of Node",
  };
}

function samplesTarget(name: string, value: Known, plain: Known): Target {
  return {
    row: "d",
    what: `integral ${name}`,
    unit: "s",
    kind: "at-most",
    value,
    target: times(plain, 1.6 / WORKERS),
    stretch: times(plain, 1.3 / WORKERS),
    from: "1.6x of half the plain loop, stretch 1.3x",
  };
}

/** By the faster of both serial runs, which are the same loop: a serial run that something disturbed would flatter the parallel one. */
function efficiencyTarget(name: string, serials: readonly Known[], parallel: Known): Target {
  const own = serials[0];
  const serial = own === undefined ? undefined : Math.min(own, ...serials.filter((known) => known !== undefined));
  const value = serial === undefined || parallel === undefined ? undefined : serial / (WORKERS * parallel);
  return {
    row: "e",
    what: `parallel efficiency ${name}`,
    unit: "share",
    kind: "at-least",
    value,
    target: 0.9,
    stretch: 0.95,
    from: "90 % of the faster serial run (its own, the plain loop's) on two workers, stretch 95 %",
  };
}

function schedulerTargets(value: Known, first: Known, last: Known): Target[] {
  const common = { row: "f", unit: "/s", kind: "at-least" } as const;
  return [
    {
      ...common,
      what: "decisions",
      value,
      target: 300_000,
      stretch: 500_000,
      from: "300,000/s, stretch 500,000/s",
    },
    {
      ...common,
      what: "decisions, last tenth",
      value: last,
      target: times(first, FLAT_SHARE),
      stretch: undefined,
      from: `flat: ${FLAT_SHARE} of the first tenth`,
    },
  ];
}

/** Of the durable manager over gRPC. */
function sharedTargets(figures: FiguresByContender): Target[] {
  const of = (id: ContenderId, figure: FigureId): Known => figures.get(id)?.[figure];
  const own = (figure: FigureId): Known => of("heddle-grpc-objects", figure);
  const rate = { unit: "/s", kind: "at-least", stretch: undefined } as const;
  return [
    {
      ...{ ...rate, row: "h", what: "list.append, 1,024 under way", value: own("appendsPerSecond") },
      ...{ target: 150_000, stretch: 250_000, from: "150,000/s, stretch 250,000/s" },
    },
    {
      ...{ row: "i", what: "dict.set p50", unit: "us", kind: "at-most", value: own("setP50Us") },
      ...{ target: 350, stretch: 200, from: "350 us, stretch 200 us" },
    },
    {
      ...{ ...rate, row: "i", what: "dict.set, beside etcd", value: own("setsPerSecond") },
      ...{ target: times(of("etcd", "setsPerSecond"), 1.5), from: "1.5x etcd's put" },
    },
    {
      ...{ ...rate, row: "j", what: "dict.set, 64 under way", value: own("manySetsPerSecond") },
      ...{ target: 40_000, stretch: 80_000, from: "40,000/s, stretch 80,000/s" },
    },
    {
      ...{ ...rate, row: "k", what: "dict.get", value: own("getsPerSecond") },
      ...{ target: 12_000, from: "12,000/s" },
    },
    {
      ...{ ...rate, row: "l", what: "lock pairs, one client", value: own("lockPairsPerSecond") },
      ...{ target: 1_400, stretch: 3_000, from: "1,400/s, stretch 3,000/s" },
    },
    {
      ...{ ...rate, row: "l", what: "lock pairs, beside etcd", value: own("lockPairsPerSecond") },
      ...{ target: times(of("etcd", "lockPairsPerSecond"), 3), from: "3x etcd's lock" },
    },
    {
      ...{ ...rate, row: "l", what: "lock pairs, 64 clients", value: own("manyLockPairsPerSecond") },
      ...{ target: 15_000, stretch: 20_000, from: "15,000/s, stretch 20,000/s" },
    },
    {
      ...{ row: "m", what: "primes in a shared list", unit: "s", kind: "at-most", value: own("collectedPrimesS") },
      ...{ target: times(of("python-manager", "collectedPrimesS"), 1 / 3), stretch: 0.05 },
      from: "3x as fast as Python's pool and manager, stretch 0.05 s",
    },
  ];
}

/** How much of the throughput must be left with mutual TLS, and how much later a call may be answered. */
const TLS_SHARE = 0.75;
const TLS_CALL_US = 60;

function tlsTargets(clear: Figures, tls: Figures): Target[] {
  const common = { row: "n", stretch: undefined } as const;
  return [
    {
      ...{ ...common, what: "no-ops over mutual TLS, packed", unit: "/s", kind: "at-least" },
      ...{ value: tls.securedNoopsPerSecond, target: times(clear.securedNoopsPerSecond, TLS_SHARE) },
      from: `${TLS_SHARE * 100} % of the same in clear`,
    },
    {
      ...{ ...common, what: "apply p50 over mutual TLS", unit: "us", kind: "at-most" },
      ...{ value: tls.securedApplyP50Us, target: plus(clear.securedApplyP50Us, TLS_CALL_US) },
      from: `${TLS_CALL_US} us above the same in clear`,
    },
  ];
}
