import { runInNewContext } from "node:vm";
import { CHUNK_ITEMS_MAX } from "@heddle/kernel";
import { expect, test } from "vitest";
import {
  APPLY_OPTIONS,
  CALLBACKS,
  checkArgs,
  checkCallOptions,
  checkPoolSettings,
  checkTimeout,
  IMAP_OPTIONS,
  MAP_OPTIONS,
  REDUCE_OPTIONS,
} from "./options.ts";

const everyOption = [...MAP_OPTIONS, ...IMAP_OPTIONS, ...CALLBACKS];

test.for<[Record<string, unknown>, string]>([
  [{ timeoutMs: "5" }, "TypeError: timeoutMs must be a number, got a string"],
  [{ timeoutMs: -1 }, "RangeError: timeoutMs must be a number from 0, got -1"],
  [{ timeoutMs: Number.NaN }, "RangeError: timeoutMs must be a number from 0, got NaN"],
  [{ signal: 5 }, "TypeError: signal must be an AbortSignal, got a number"],
  [{ signal: {} }, "TypeError: signal must be an AbortSignal, got an object"],
  [{ retries: "1" }, "TypeError: retries must be a number, got a string"],
  [{ retries: -1 }, "RangeError: retries must be a whole number from 0 to 1000000, got -1"],
  [{ labels: [] }, "TypeError: labels must be an object, got an array"],
  [
    { labels: new Map([["gpu", "1"]]) },
    "TypeError: labels must be an object, as { name: value }, not a Map or the like",
  ],
  [{ labels: { gpu: true } }, "TypeError: label gpu must be a string, got a boolean"],
  [{ resources: "gpu" }, "TypeError: resources must be an object, got a string"],
  [{ resources: { gpu: "1" } }, "TypeError: resource gpu must be a number, got a string"],
  [{ resources: { gpu: -1 } }, "RangeError: resource gpu must be a finite number from 0, got -1"],
  [
    { resources: { gpu: Number.POSITIVE_INFINITY } },
    "RangeError: resource gpu must be a finite number from 0, got Infinity",
  ],
  [{ labels: { ["x".repeat(64)]: "" } }, "RangeError: labels: a name has at most 63 characters, got 64"],
  [
    { labels: Object.fromEntries(Array.from({ length: 33 }, (_, at) => [at, ""])) },
    "RangeError: labels must be at most 32, got 33",
  ],
  [{ name: 5 }, "TypeError: name must be a string, got a number"],
  [{ name: "x".repeat(201) }, "RangeError: name must have at most 200 characters, got 201"],
  [{ jobId: 5 }, "TypeError: jobId must be a string, got a number"],
  [{ jobId: "a b" }, 'RangeError: jobId must be 1 to 128 of A-Z, a-z, 0-9, ".", "_" and "-", got "a b"'],
  [{ jobId: "" }, 'RangeError: jobId must be 1 to 128 of A-Z, a-z, 0-9, ".", "_" and "-", got ""'],
  [{ detach: 1 }, "TypeError: detach must be true or false, got a number"],
  [{ chunkSize: 0 }, `RangeError: chunkSize must be a whole number from 1 to ${CHUNK_ITEMS_MAX}, got 0`],
  [{ chunkSize: -1 }, `RangeError: chunkSize must be a whole number from 1 to ${CHUNK_ITEMS_MAX}, got -1`],
  [{ chunkSize: Number.NaN }, `RangeError: chunkSize must be a whole number from 1 to ${CHUNK_ITEMS_MAX}, got NaN`],
  [{ chunkSize: "3" }, 'TypeError: chunkSize must be a number or "auto", got a string'],
  [{ itemTimeoutMs: 0 }, "RangeError: itemTimeoutMs must be above 0 and at most 2147483647, got 0"],
  [{ itemTimeoutMs: -5 }, "RangeError: itemTimeoutMs must be above 0 and at most 2147483647, got -5"],
  [{ itemTimeoutMs: 2 ** 31 }, "RangeError: itemTimeoutMs must be above 0 and at most 2147483647, got 2147483648"],
  [{ itemTimeoutMs: "5" }, "TypeError: itemTimeoutMs must be a number, got a string"],
  [{ seed: 1.5 }, "RangeError: seed must be a whole number up to 2^53, got 1.5"],
  [{ seed: 1n }, "TypeError: seed must be a number, got a bigint"],
  [{ concurrency: 0 }, "RangeError: concurrency must be a whole number from 1 to 1024, got 0"],
  [{ concurrency: 1_025 }, "RangeError: concurrency must be a whole number from 1 to 1024, got 1025"],
  [{ bufferSize: 0 }, "RangeError: bufferSize must be a whole number from 1 to 9007199254740991, got 0"],
  [
    { bufferSize: Number.POSITIVE_INFINITY },
    "RangeError: bufferSize must be a whole number from 1 to 9007199254740991, got Infinity",
  ],
  [{ onError: "ignore" }, 'TypeError: onError must be "throw" or "collect", got "ignore"'],
  [{ onError: true }, 'TypeError: onError must be "throw" or "collect", got a boolean'],
  [{ into: Array }, "TypeError: into must be a typed array's class, such as Float64Array, got a function"],
  [
    { into: Float64Array, onError: "collect" },
    'TypeError: into and onError: "collect" exclude each other: settled results are no numbers',
  ],
  [{ progress: 1 }, "TypeError: progress must be true or a function, got a number"],
  [{ callback: 1 }, "TypeError: callback must be a function, got a number"],
  [{ errorCallback: {} }, "TypeError: errorCallback must be a function, got an object"],
  [{ speculate: 1 }, "TypeError: speculate must be true or false, got a number"],
])("a call refuses %o", ([options, message]) => {
  const [name = "", ...words] = message.split(": ");
  expect(() => checkCallOptions("map", options, everyOption)).toThrow(
    expect.objectContaining({ name, message: words.join(": ") }) as never,
  );
});

test("a call takes what can be, and undefined for whatever is not said", () => {
  const good = {
    timeoutMs: 0,
    signal: AbortSignal.abort(),
    retries: 3,
    labels: { zone: "a" },
    resources: { gpu: 0.5 },
    name: "squares",
    jobId: "Job.1_a-b",
    detach: true,
    chunkSize: "auto",
    itemTimeoutMs: 0.5,
    seed: -5,
    concurrency: 1_024,
    speculate: true,
    bufferSize: 1,
    onError: "collect",
    progress: false,
    callback: () => undefined,
    errorCallback: () => undefined,
  };
  expect(() => checkCallOptions("map", good, everyOption)).not.toThrow();
  const unsaid = Object.fromEntries(everyOption.map((name) => [name, undefined]));
  expect(() => checkCallOptions("map", unsaid, everyOption)).not.toThrow();
});

test.for([
  ["apply", APPLY_OPTIONS, "chunkSize"],
  ["map", MAP_OPTIONS, "bufferSize"],
  ["map", MAP_OPTIONS, "initial"],
  ["imap", IMAP_OPTIONS, "into"],
  ["imap", IMAP_OPTIONS, "callback"],
  ["mapReduce", REDUCE_OPTIONS, "onError"],
] as const)("%s has not every option: %s lacks %s", ([method, known, name]) => {
  expect(() => checkCallOptions(method, { [name]: undefined } as never, known)).toThrow(
    `${method} has no option ${name}: there are ${known.join(", ")}`,
  );
});

test.for<[unknown, string]>([
  [100, "options of map must be an object, as { chunkSize: 100 }, got a number"],
  [null, "options of map must be an object, as { chunkSize: ... }, got null"],
  ["abc", "options of map must be an object, as { chunkSize: ... }, got a string"],
  [[1], "options of map must be an object, as { chunkSize: ... }, got an array"],
  [AbortSignal.abort(), "options of map must be an object, as { signal }, got an AbortSignal"],
  [new Map(), "options of map must be an object such as { chunkSize }, got a Map"],
  [new (class Into {})(), "options of map must be an object such as { into }, got an Into"],
  [new (class {})(), "options of map must be an object such as { chunkSize }, got an instance of a class"],
  [{ chunksize: 2 }, "map has no option chunksize: did you mean chunkSize?"],
  [{ timeout: 2 }, "map has no option timeout: did you mean timeoutMs?"],
])("options that are none are refused: %o", ([options, message]) => {
  expect(() => checkCallOptions("map", options as never, MAP_OPTIONS)).toThrow(new TypeError(message));
});

test("options may have no prototype, or that of another realm", () => {
  for (const options of [Object.create(null), runInNewContext("({})")]) {
    options.chunkSize = 5;
    expect(() => checkCallOptions("map", options, MAP_OPTIONS)).not.toThrow();
  }
});

test.for<[Record<string, unknown>, string]>([
  [{ processes: 0 }, "RangeError: processes must be a whole number from 1 to 4096, got 0"],
  [{ processes: "4" }, "TypeError: processes must be a number, got a string"],
  [{ maxTasksPerChild: 0 }, "RangeError: maxTasksPerChild must be a whole number from 1 to 4294967295, got 0"],
  [
    { maxRssPerChildBytes: 1.5 },
    "RangeError: maxRssPerChildBytes must be a whole number from 1 to 9007199254740991, got 1.5",
  ],
  [{ initializer: 5 }, "TypeError: initializer must be a function, got a number"],
  [{ initializer: () => 1, initArgs: 5 }, "TypeError: initArgs must be an array, got a number"],
  [{ initArgs: [] }, "TypeError: initArgs need an initializer"],
  [{ labels: null }, "TypeError: labels must be an object, got null"],
  [{ resources: { gpu: Number.NaN } }, "RangeError: resource gpu must be a finite number from 0, got NaN"],
  [{ seed: "a" }, "TypeError: seed must be a number, got a string"],
  [{ name: null }, "TypeError: name must be a string, got null"],
  [{ process: 4 }, "TypeError: a pool has no option process: did you mean processes?"],
])("a pool refuses %o", ([settings, message]) => {
  const [name = "", ...words] = message.split(": ");
  expect(() => checkPoolSettings(settings)).toThrow(
    expect.objectContaining({ name, message: words.join(": ") }) as never,
  );
});

test("arguments are an array, none unless given", () => {
  expect(checkArgs(undefined)).toEqual([]);
  expect(checkArgs([1])).toEqual([1]);
  expect(() => checkArgs("abc")).toThrow(new TypeError("args must be an array, got a string"));
});

test("no time limit is one that never comes", () => {
  expect(() => checkTimeout(Number.POSITIVE_INFINITY)).not.toThrow();
});

test("a chunk size below the concurrency is refused: it would do less than was asked for", () => {
  const check = (options: object) => () => checkCallOptions("map", options, MAP_OPTIONS);
  expect(check({ concurrency: 8, chunkSize: 4 })).toThrow(
    new RangeError(
      "concurrency counts items of one chunk: with 8 a chunkSize of 4 is too small, leave it out or give 8 at least",
    ),
  );
  for (const chunkSize of [8, "auto", undefined]) expect(check({ concurrency: 8, chunkSize })).not.toThrow();
});
