import type { HistogramCounts, Metric } from "@heddle/port-metrics";
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import { METRICS_PER_SECOND_MAX } from "./limits.ts";

/** What a page of metrics is made from. */
export interface MetricsPageOptions {
  /** Which of the servers this is, such as "agent". */
  readonly server: string;
  /** Its release. */
  readonly build: string;
  readonly metrics: () => readonly Metric[];
}

interface Common {
  readonly name: string;
  readonly help: string;
  readonly registers: Registry[];
}

/** A server's metrics as the text that Prometheus reads, with those that are of any process of Node. Made as they are asked for. */
export class MetricsPage {
  readonly contentType: string;
  readonly #registry = new Registry();
  /** Of the page that is being made. */
  #told: ReadonlyMap<string, Metric> = new Map();
  readonly #metrics: () => readonly Metric[];
  #page: Promise<string> | undefined;
  /** When the newest pages were made. Size <= METRICS_PER_SECOND_MAX. */
  readonly #madeMs: number[] = [];

  constructor({ server, build, metrics }: MetricsPageOptions) {
    this.#metrics = metrics;
    this.contentType = this.#registry.contentType;
    for (const metric of metrics()) this.#register(metric);
    const registers = [this.#registry];
    const labelNames = ["server", "version"] as const;
    new Gauge({
      name: "heddle_build_info",
      help: "Always 1: which server this is, of which release.",
      labelNames,
      registers,
    })
      .labels(server, build)
      .set(1);
    collectDefaultMetrics({ register: this.#registry });
  }

  /** The text of now; when there were many within this second, the newest of them again. */
  async text(): Promise<string> {
    const nowMs = performance.now();
    if (this.#page === undefined || this.#mayMake(nowMs)) {
      this.#madeMs.push(nowMs);
      this.#told = new Map(this.#metrics().map((metric) => [metric.name, metric]));
      this.#page = this.#registry.metrics();
    }
    return await this.#page;
  }

  #mayMake(nowMs: number): boolean {
    while (nowMs - (this.#madeMs[0] ?? nowMs) >= 1_000) this.#madeMs.shift();
    return this.#madeMs.length < METRICS_PER_SECOND_MAX;
  }

  #register({ type, name, help, value }: Metric): void {
    const common: Common = { name, help, registers: [this.#registry] };
    if (type === "histogram") {
      new ToldHistogram(common, () => this.#histogram(name));
      return;
    }
    const numbers = (): Iterable<readonly [Record<string, string>, number]> => this.#numbers(name);
    const labelNames = typeof value === "number" ? [] : [value.label];
    if (type === "gauge") {
      const gauge = new Gauge({
        ...common,
        labelNames,
        collect: () => {
          for (const [labels, number] of numbers()) gauge.set(labels, number);
        },
      });
      return;
    }
    const counter = new Counter({
      ...common,
      labelNames,
      collect: () => {
        counter.reset();
        for (const [labels, number] of numbers()) counter.inc(labels, number);
      },
    });
  }

  *#numbers(name: string): Generator<readonly [Record<string, string>, number]> {
    const metric = this.#told.get(name);
    if (metric === undefined || metric.type === "histogram") return;
    const { value } = metric;
    if (typeof value === "number") yield [{}, value];
    else for (const [word, number] of Object.entries(value.values)) yield [{ [value.label]: word }, number];
  }

  #histogram(name: string): HistogramCounts | undefined {
    const metric = this.#told.get(name);
    return metric?.type === "histogram" ? metric.value : undefined;
  }
}

/** prom-client counts observations by itself; this one tells what was counted elsewhere. */
class ToldHistogram extends Histogram<"le"> {
  readonly #common: Common;
  readonly #tell: () => HistogramCounts | undefined;

  constructor(common: Common, tell: () => HistogramCounts | undefined) {
    super(common);
    this.#common = common;
    this.#tell = tell;
  }

  override async get() {
    return { ...(await super.get()), values: this.#values() };
  }

  /** What a registry of this release asks of histograms in place of `get`. */
  getForPromString() {
    const { name, help } = this.#common;
    return Promise.resolve({ name, help, type: "histogram", values: this.#values() });
  }

  #values() {
    const { name } = this.#common;
    const { buckets, count, sum } = this.#tell() ?? { buckets: [], count: 0, sum: 0 };
    let upTo = 0;
    const all = buckets.map((bucket) => {
      upTo += bucket.count;
      return { metricName: `${name}_bucket`, labels: { le: bucket.upTo }, sharedLabels: {}, value: upTo };
    });
    return [
      ...all,
      { metricName: `${name}_bucket`, labels: { le: "+Inf" }, sharedLabels: {}, value: count },
      { metricName: `${name}_sum`, labels: {}, sharedLabels: {}, value: sum },
      { metricName: `${name}_count`, labels: {}, sharedLabels: {}, value: count },
    ];
  }
}
