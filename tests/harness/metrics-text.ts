/** A page of metrics as a strict reader of Prometheus' text format 0.0.4 understands it. */
export interface MetricsText {
  readonly families: ReadonlyMap<string, { readonly type: string; readonly help: string }>;
  /** By name and labels, as they are written. */
  readonly samples: ReadonlyMap<string, number>;
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{([^{}]*)\})? (\S+)$/;
const LABEL = /^[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"$/;
const TYPES = ["counter", "gauge", "histogram", "summary"];

/** Throws Error that names the line where the text is not what the format says. */
export function parseMetrics(text: string): MetricsText {
  if (!text.endsWith("\n")) throw new Error("the text does not end with a line end");
  const families = new Map<string, { type: string; help: string }>();
  const samples = new Map<string, number>();
  let current = { name: "", type: "", help: "" };
  for (const line of text.split("\n")) {
    const fail = (why: string): never => {
      throw new Error(`${why}: ${JSON.stringify(line)}`);
    };
    if (line === "") continue;
    if (line.startsWith("# HELP ")) {
      const [name = "", ...words] = line.slice("# HELP ".length).split(" ");
      if (!NAME.test(name) || families.has(name)) fail("no name, or one that was there before");
      current = { name, type: "", help: words.join(" ") };
    } else if (line.startsWith("# TYPE ")) {
      const [name, type = ""] = line.slice("# TYPE ".length).split(" ");
      if (name !== current.name || current.type !== "" || !TYPES.includes(type)) fail("a type that belongs to no help");
      current.type = type;
      families.set(current.name, current);
    } else if (line.startsWith("#")) fail("neither help nor type");
    else {
      const [, name = "", labels, number = ""] = SAMPLE.exec(line) ?? fail("no sample");
      if (labels !== undefined && !labels.split(/,(?=[a-z])/).every((label) => LABEL.test(label))) fail("labels");
      if (familyOf(name, current.type) !== current.name) fail("a sample outside of its family");
      const series = labels === undefined ? name : `${name}{${labels}}`;
      if (samples.has(series)) fail("a series that was there before");
      samples.set(series, numberIn(number) ?? fail("no number"));
    }
  }
  for (const [name, { type }] of families) if (type === "histogram") checkBuckets(name, samples);
  return { families, samples };
}

function familyOf(sample: string, type: string): string {
  if (type === "histogram") return sample.replace(/_(bucket|sum|count)$/, "");
  return type === "summary" ? sample.replace(/_(sum|count)$/, "") : sample;
}

function numberIn(text: string): number | undefined {
  if (text === "Nan" || text === "NaN") return Number.NaN;
  if (text === "+Inf" || text === "-Inf") return text === "+Inf" ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
  const value = Number(text);
  return Number.isNaN(value) ? undefined : value;
}

/** Buckets rise to the count, for each combination of the other labels; one that never observed anything may have none. */
function checkBuckets(name: string, samples: ReadonlyMap<string, number>): void {
  const last = new Map<string, number>();
  for (const [series, value] of samples) {
    if (!series.startsWith(`${name}_bucket{`)) continue;
    const others = series
      .slice(`${name}_bucket`.length)
      .replace(/le="[^"]*",?/, "")
      .replace(/,?\}$/, "}");
    if (value < (last.get(others) ?? 0)) throw new Error(`${series} is below the bucket before it`);
    last.set(others, value);
    if (series.includes('le="+Inf"') && samples.get(`${name}_count${others === "{}" ? "" : others}`) !== value)
      throw new Error(`${series} is not the count`);
  }
}
