import { describe, expect, test } from "vitest";
import { type Metric, SERIES_MAX, seriesOf, type Watched } from "./index.ts";

/** What a metric says now: its number, or one for each value of its label, or of a histogram how much it has observed. */
export function told(watched: Watched, name: string): number | Readonly<Record<string, number>> {
  const metric = watched.metrics().find((each) => each.name === name);
  if (metric === undefined) throw new RangeError(`there is no metric ${name}`);
  const { type, value } = metric;
  if (typeof value === "number") return value;
  return type === "histogram" ? { count: value.count, sum: value.sum } : { ...value.values };
}

/** A server that is watched, and how to make something happen in it. */
export interface WatchedPlace extends AsyncDisposable {
  readonly watched: Watched;
  /** Has the server do some of everything. */
  readonly live: () => Promise<void>;
}

/** What everything that is watched must do. `open` makes a fresh one for each test. */
export function watchedContract(name: string, open: () => Promise<WatchedPlace>): void {
  describe(`metrics of ${name}`, () => {
    test("are called by what they are: heddle, the server, the unit, and a total where they count", async () => {
      await using place = await open();
      for (const { name: full, type, help } of place.watched.metrics()) {
        expect(full).toMatch(/^heddle_(coordinator|manager|agent)_[a-z]+(_[a-z]+)*$/);
        expect([full, full.endsWith("_total")]).toEqual([full, type === "counter"]);
        expect(full).not.toMatch(/_(ms|millis|milliseconds|kb|mb|percent)(_total)?$/);
        expect(help).toMatch(/^[A-Z].*\.$/);
        expect(help).not.toContain("\n");
      }
    });

    test("have labels of a few words that are there from the start, and no more after anything happened", async () => {
      await using place = await open();
      const before = place.watched.metrics();
      await place.live();
      const after = place.watched.metrics();
      expect(after.map(shape)).toEqual(before.map(shape));
      expect(new Set(after.map((metric) => metric.name)).size).toBe(after.length);
      expect(after.reduce((sum, metric) => sum + seriesOf(metric), 0)).toBeLessThanOrEqual(SERIES_MAX);
      for (const label of after.flatMap(labels)) expect(label).toMatch(/^[a-z]+(-[a-z]+)*$/);
    });

    test("are numbers from 0 on, and what counts never falls", async () => {
      await using place = await open();
      const before = numbers(place.watched.metrics().filter(({ type }) => type !== "gauge"));
      await place.live();
      const all = place.watched.metrics();
      const counts = numbers(all.filter(({ type }) => type !== "gauge"));
      for (const [at, count] of counts.entries()) expect(count).toBeGreaterThanOrEqual(before[at] ?? Number.NaN);
      for (const value of numbers(all)) expect(value).toBeGreaterThanOrEqual(0);
      expect(numbers(all).filter((value) => !Number.isFinite(value))).toEqual([]);
    });

    test("stand beside one line that says whether it is ready", async () => {
      await using place = await open();
      expect(place.watched.readiness().words).toMatch(/^[^\n]{2,200}$/);
    });
  });
}

function shape(metric: Metric): unknown {
  return [metric.name, metric.type, metric.help, ...labels(metric)];
}

function labels({ type, value }: Metric): string[] {
  if (typeof value === "number" || type === "histogram") return [];
  return [value.label, ...Object.keys(value.values)];
}

function numbers(metrics: readonly Metric[]): number[] {
  return metrics.flatMap(({ type, value }) => {
    if (typeof value === "number") return [value];
    if (type !== "histogram") return Object.values(value.values);
    return [value.count, value.sum, ...value.buckets.map(({ count }) => count)];
  });
}
