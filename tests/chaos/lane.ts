import type { Random } from "@heddle/kernel";
import type { Fabric, Manager } from "heddle";
import type { OnceState } from "./client-events.ts";

/** What a lane works with. */
export interface LaneContext {
  readonly fabric: Fabric;
  readonly pool: ReturnType<Fabric["pool"]>;
  readonly manager: Manager;
  readonly random: Random;
  readonly leaseMs: number;
  /** The client's, and a part of the keys of its counters. */
  readonly name: string;
  /** Counts what is acknowledged, and what may or may not be done, of a counter. */
  counted(key: string, change: { readonly acknowledged?: number; readonly unknown?: number }): Promise<void>;
  /** Tells of a job whose writes count once. */
  once(state: OnceState): Promise<void>;
  /** Counts jobs that are begun, and their items. */
  tally(jobs: number, items: number): void;
  /** Counts second attempts that answered. */
  overtaken(attempts: number): void;
}

/** Does one thing, and throws WrongResult when that is not as it must be. */
export type Lane = (context: LaneContext) => Promise<void>;

/** What nothing that may fail explains. */
export class WrongResult extends Error {
  override readonly name = "WrongResult";
}

/** An end of a process or a silence that only a fault explains: it is judged as errors are. */
export class FaultSeen extends Error {
  override readonly name: string;

  constructor(name: string, message: string) {
    super(message);
    this.name = name;
  }
}

/** Throws WrongResult unless both are the same as JSON. */
export function mustBe(what: string, got: unknown, expected: unknown): void {
  const [seen, wanted] = [JSON.stringify(got), JSON.stringify(expected)];
  if (seen === wanted) return;
  const at = [...wanted].findIndex((character, index) => character !== seen?.[index]);
  const around = (text: string | undefined): string => text?.slice(Math.max(0, at - 60), at + 60) ?? "nothing";
  throw new WrongResult(`${what}: got ...${around(seen)}..., expected ...${around(wanted)}...`);
}
