import type { Report } from "./contender.ts";
import type { ContenderId } from "./contenders.ts";
import type { OperationId, PlannedOperation } from "./rows.ts";

/** What is printed and judged; the unit is in the name. */
export const figureIds = [
  "noopsPerSecond",
  "unpackedPerSecond",
  "callsPerSecond",
  "applyP50Us",
  "applyP99Us",
  "cubesS",
  "typedCubesS",
  "samplesS",
  "sampleChunksS",
  "serialPrimesS",
  "primesS",
  "efficiency",
  "objectsS",
  "decisionsPerSecond",
  "firstTenth",
  "lastTenth",
  "appendsPerSecond",
  "unawaitedPerSecond",
  "setP50Us",
  "setsPerSecond",
  "syncP50Us",
  "manySetsPerSecond",
  "getsPerSecond",
  "lockPairsPerSecond",
  "manyLockPairsPerSecond",
  "flowLockPairsPerSecond",
  "collectedPrimesS",
  "securedNoopsPerSecond",
  "securedApplyP50Us",
  "securedApplyP99Us",
] as const;

export type FigureId = (typeof figureIds)[number];

export type Figures = Readonly<Partial<Record<FigureId, number>>>;

export type FiguresByContender = ReadonlyMap<ContenderId, Figures>;

/** Of one run of one contender, whose own plan it is. `workers` is what parallel runs are divided by. */
export function figuresOf({ laps, figures }: Report, plan: readonly PlannedOperation[], workers: number): Figures {
  const count = (id: OperationId): number => plan.find((planned) => planned.id === id)?.count ?? Number.NaN;
  const seconds = (id: OperationId): number | undefined => quantile(laps[id] ?? [], 0.5);
  const serial = seconds("serialPrimes");
  const parallel = seconds("primes");
  const perSecond = (id: OperationId): number | undefined => {
    const lap = seconds(id);
    return lap === undefined ? undefined : count(id) / lap;
  };
  const us = (id: OperationId, share: number): number | undefined => {
    const lap = quantile(laps[id] ?? [], share);
    return lap === undefined ? undefined : lap * 1e6;
  };
  const callsPerSecond = (id: OperationId): number | undefined => {
    const calls = laps[id];
    return calls === undefined ? undefined : calls.length / calls.reduce((sum, lap) => sum + lap, 0);
  };
  const all: Partial<Record<FigureId, number | undefined>> = {
    noopsPerSecond: perSecond("noops"),
    unpackedPerSecond: perSecond("unpackedNoops"),
    callsPerSecond: perSecond("calls"),
    applyP50Us: us("apply", 0.5),
    applyP99Us: us("apply", 0.99),
    cubesS: seconds("cubes"),
    typedCubesS: seconds("typedCubes"),
    samplesS: seconds("samples"),
    sampleChunksS: seconds("sampleChunks"),
    serialPrimesS: serial,
    primesS: parallel,
    efficiency: serial === undefined || parallel === undefined ? undefined : serial / (workers * parallel),
    objectsS: seconds("objects"),
    appendsPerSecond: perSecond("appends"),
    unawaitedPerSecond: perSecond("unawaitedAppends"),
    setP50Us: us("sets", 0.5),
    setsPerSecond: callsPerSecond("sets"),
    syncP50Us: us("syncs", 0.5),
    manySetsPerSecond: perSecond("manySets"),
    getsPerSecond: callsPerSecond("gets"),
    lockPairsPerSecond: callsPerSecond("lockPairs"),
    manyLockPairsPerSecond: perSecond("manyLockPairs"),
    flowLockPairsPerSecond: perSecond("flowLockPairs"),
    collectedPrimesS: seconds("collectedPrimes"),
    securedNoopsPerSecond: perSecond("securedNoops"),
    securedApplyP50Us: us("securedApply", 0.5),
    securedApplyP99Us: us("securedApply", 0.99),
    ...figures,
  };
  return known(all);
}

/** The median of each figure over the runs that have it. */
export function medians(runs: readonly Figures[]): Figures {
  const middle = (id: FigureId): number | undefined =>
    quantile(
      runs.flatMap((run) => run[id] ?? []),
      0.5,
    );
  return known(Object.fromEntries(figureIds.map((id) => [id, middle(id)])));
}

/** The smallest value that so large a share of all does not exceed; the mean of the two middle ones for a half of an even number. */
export function quantile(values: readonly number[], share: number): number | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  const at = Math.ceil(share * sorted.length);
  const value = sorted[Math.max(0, at - 1)];
  const next = sorted[at];
  return share === 0.5 && sorted.length % 2 === 0 && value !== undefined && next !== undefined
    ? (value + next) / 2
    : value;
}

function known(figures: Partial<Record<FigureId, number | undefined>>): Figures {
  const entries = Object.entries(figures).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as Figures;
}
