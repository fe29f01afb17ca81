export { Histogram, type HistogramCounts } from "./histogram.ts";
export { SERIES_MAX } from "./limits.ts";
export {
  by,
  counter,
  gauge,
  histogram,
  type Labelled,
  type Metric,
  seriesOf,
} from "./metric.ts";
export { notReady, type Readiness, ready, type Watched } from "./watched.ts";
