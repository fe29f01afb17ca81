/**
 * What can travel between processes and be kept by a manager: a closed set. Instances of classes without methods count as their own
 * enumerable fields; functions, symbols, promises and everything else with a life of its own are no values.
 */
export type Value =
  | null
  | undefined
  | boolean
  | number
  | bigint
  | string
  | DateValue
  | RegExp
  | ReadonlyMap<Value, Value>
  | ReadonlySet<Value>
  | readonly Value[]
  | { readonly [field: string]: Value }
  | ArrayBuffer
  | ArrayBufferView
  | Error;

// biome-ignore lint/style/noRestrictedGlobals: a type of values; nobody asks for the time
type DateValue = Date;
