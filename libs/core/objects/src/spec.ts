import { objectText } from "@heddle/kernel";

/** Codes of cells, as the typed array of that element. */
const cellCodes = ["i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64", "f32", "f64"] as const;

export type CellCode = (typeof cellCodes)[number];

/** What an object is: said by whoever creates it, the same for its whole life. */
export type Spec =
  | { readonly kind: "dict" | "namespace" | "list" | "lock" | "rlock" | "event" }
  | { readonly kind: "value" | "array"; readonly code: CellCode; readonly length: number }
  /** `maxSize` 0: no bound. */
  | { readonly kind: "queue"; readonly maxSize: number; readonly joinable: boolean }
  /** Not duplex: end 0 receives, end 1 sends. */
  | { readonly kind: "pipe"; readonly duplex: boolean }
  | { readonly kind: "semaphore"; readonly initial: number; readonly bound: number | undefined }
  | { readonly kind: "condition"; readonly lock: string }
  | { readonly kind: "barrier"; readonly parties: number };

export type ObjectKind = Spec["kind"];

/** Reads a spec {kind, ...options}; says what is wrong with it in words. `elements` is how many elements come along for cells. */
export function readSpec(value: unknown, elements: number | undefined): Spec | string {
  if (typeof value !== "object" || value === null) return "a spec is a record {kind, ...options}";
  const kind: unknown = Reflect.get(value, "kind");
  switch (kind) {
    case "dict":
    case "namespace":
    case "list":
    case "lock":
    case "rlock":
    case "event":
      return { kind };
    case "value":
    case "array":
      return readCells(kind, value, elements);
    case "queue":
      return readQueue(value);
    case "pipe": {
      const duplex: unknown = Reflect.get(value, "duplex") ?? true;
      return typeof duplex === "boolean" ? { kind, duplex } : "duplex is true or false";
    }
    case "semaphore":
      return readSemaphore(value);
    case "condition": {
      const lock: unknown = Reflect.get(value, "lock");
      return typeof lock === "string" ? { kind, lock } : "a condition names its lock";
    }
    case "barrier": {
      const parties: unknown = Reflect.get(value, "parties");
      return isCount(parties) && parties > 0 ? { kind, parties } : "parties is a whole number above 0";
    }
    default:
      return `there is no kind of object ${JSON.stringify(kind)?.slice(0, 100) ?? typeof kind}`;
  }
}

/** What people call such an object, in a word or two. */
export function kindText(spec: Spec): string {
  switch (spec.kind) {
    case "queue":
      return spec.joinable ? "joinable queue" : "queue";
    case "semaphore":
      return spec.bound === undefined ? "semaphore" : "bounded semaphore";
    default:
      return spec.kind;
  }
}

/** For people, and to tell one shape from another. */
export function specText(spec: Spec): string {
  switch (spec.kind) {
    case "value":
      return `value of ${spec.code}`;
    case "array":
      return `array of ${spec.length} ${spec.code}`;
    case "queue":
      return `${spec.joinable ? "joinable queue" : "queue"}${spec.maxSize > 0 ? ` of at most ${spec.maxSize}` : ""}`;
    case "pipe":
      return spec.duplex ? "pipe" : "one-way pipe";
    case "semaphore":
      if (spec.bound === undefined) return `semaphore of ${spec.initial}`;
      return `bounded semaphore of ${spec.initial}${spec.initial === spec.bound ? "" : `, ${spec.bound} at most`}`;
    case "condition":
      return `condition of ${objectText(spec.lock)}`;
    case "barrier":
      return `barrier of ${spec.parties}`;
    default:
      return spec.kind;
  }
}

/** A whole number from 0 on. */
function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function readCells(kind: "value" | "array", value: object, elements: number | undefined): Spec | string {
  const code: unknown = Reflect.get(value, "code");
  const known = cellCodes.find((each) => each === code);
  if (known === undefined) return `code is one of ${cellCodes.join(" ")}`;
  const length: unknown = Reflect.get(value, "length") ?? elements ?? (kind === "value" ? 1 : undefined);
  if (!isCount(length)) return "length is a whole number from 0 on";
  if (kind === "value" && length !== 1) return "a value has one element";
  if (elements !== undefined && elements !== length) return `${elements} elements do not fill ${length}`;
  return { kind, code: known, length };
}

function readQueue(value: object): Spec | string {
  const maxSize: unknown = Reflect.get(value, "maxSize") ?? 0;
  const joinable: unknown = Reflect.get(value, "joinable") ?? false;
  if (!isCount(maxSize)) return "maxSize is a whole number from 0 on";
  return typeof joinable === "boolean" ? { kind: "queue", maxSize, joinable } : "joinable is true or false";
}

function readSemaphore(value: object): Spec | string {
  const initial: unknown = Reflect.get(value, "initial") ?? 1;
  const bound: unknown = Reflect.get(value, "bound") ?? undefined;
  if (!isCount(initial)) return "initial is a whole number from 0 on";
  if (bound === undefined) return { kind: "semaphore", initial, bound };
  return isCount(bound) && bound >= initial
    ? { kind: "semaphore", initial, bound }
    : "bound is a whole number, at least initial";
}
