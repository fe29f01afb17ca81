import type { Effect, JobKey } from "@heddle/core-scheduler";
import type { ItemFacts, JobFacts } from "./scheduler-facts.ts";
import { demand } from "./scheduler-promises.ts";

type EffectOf<T extends Effect["type"]> = Extract<Effect, { readonly type: T }>;

/** An item that failed for good has failed as often as its job allows, or is to blame for what died. `finished`: whose answer this step tells. */
export function judgeBlame(
  { job: key, chunk, offset, cause }: EffectOf<"fail-item">,
  item: ItemFacts,
  known: {
    readonly job: JobFacts;
    readonly finished: EffectOf<"assign-chunk"> | undefined;
    readonly isPoison: ((job: JobKey, chunk: number, offset: number) => boolean) | undefined;
  },
): void {
  const { job, finished, isPoison } = known;
  const what = `failure of ${key}/${chunk}/${offset} by ${cause}`;
  const isOwn = cause === "item-error" || cause === "item-overdue";
  demand(!isOwn || item.errors === job.retries + 1, `${what}: ${item.errors} errors`);
  const blamed = item.deaths + Math.max(0, item.losses - 2); // from the third on, a lost node counts as a death
  const told = `${what}: ${item.deaths} deaths, ${item.losses} losses`;
  if (cause === "node-loss") demand(item.losses >= 3 && blamed >= 2, told);
  if (cause === "worker-death") {
    demand(item.deaths >= 1 && blamed >= 2, told);
    demand(finished?.fresh === true && finished.count === 1, `${what}: not alone in a fresh worker`);
    demand(isPoison?.(key, chunk, offset) ?? true, `${what}: it is innocent`);
  }
}
