import type { VerbName } from "@heddle/wire";
import type { OperationReply, OperationRequest } from "./channel.ts";
import { keyText } from "./keys.ts";

/** How an operation is done that an item asks for whose writes count once. */
export interface OnceWay {
  /**
   * "read": at once, as things are together with what the item has written. "blind": noted, for it has no answer. "answered": noted, and answered as it would be done now. "dependent": the same, and what was there must
   * not have changed when it counts.
   */
  readonly type: "read" | "blind" | "answered" | "dependent";
  /** What it is about: keys of a dict, or all of the object. */
  readonly about: "first-key" | "pairs" | "object";
  /** Whether such an answer means that nothing was written. */
  readonly isVain?: (reply: OperationReply) => boolean;
}

const isNothing = ({ values }: OperationReply): boolean => values.length === 0;
const isZero = ({ numbers }: OperationReply): boolean => numbers[0] === 0;

const key = (type: OnceWay["type"], isVain?: OnceWay["isVain"]): OnceWay => wayOf(type, "first-key", isVain);
const all = (type: OnceWay["type"], isVain?: OnceWay["isVain"]): OnceWay => wayOf(type, "object", isVain);

function wayOf(type: OnceWay["type"], about: OnceWay["about"], isVain: OnceWay["isVain"]): OnceWay {
  return isVain === undefined ? { type, about } : { type, about, isVain };
}

/** What is not among them is not for such items: it waits, is volatile, or makes and removes objects. */
const ways: ReadonlyMap<VerbName, OnceWay> = new Map<VerbName, OnceWay>([
  ["dict-get", key("read")],
  ["dict-has", key("read")],
  ["dict-size", all("read")],
  ["dict-keys", all("read")],
  ["dict-values", all("read")],
  ["dict-entries", all("read")],
  ["dict-set", { type: "blind", about: "pairs" }],
  ["dict-clear", all("blind")],
  ["dict-increment", key("answered")],
  ["dict-delete", key("dependent", isZero)],
  ["dict-pop", key("dependent", isNothing)],
  ["dict-pop-item", all("dependent", isNothing)],
  ["dict-set-default", key("dependent")],
  ["dict-compare-and-set", key("dependent", isZero)],
  ["list-at", all("read")],
  ["list-index", all("read")],
  ["list-count", all("read")],
  ["list-slice", all("read")],
  ["list-length", all("read")],
  ["list-append", all("blind")],
  ["list-extend", all("blind")],
  ["list-clear", all("blind")],
  ["list-reverse", all("blind")],
  ["list-set", all("answered")],
  ["list-sort", all("answered")],
  ["list-insert", all("dependent")],
  ["list-pop", all("dependent")],
  ["list-remove", all("dependent")],
  ["list-delete", all("dependent")],
  ["cells-get", all("read")],
  ["cells-slice", all("read")],
  ["cells-set", all("blind")],
  ["cells-set-slice", all("blind")],
  ["cells-add", all("answered")],
  ["cells-compare-exchange", all("dependent", isZero)],
]);

/** Undefined for what such an item may not ask. */
export function onceWayOf(verb: VerbName): OnceWay | undefined {
  return ways.get(verb);
}

/** The keys that an operation is about, as text; undefined for all of the object. */
export function keysOf({ verb, values = [] }: OperationRequest): readonly string[] | undefined {
  const about = ways.get(verb)?.about ?? (verb === "dict-replace" ? "first-key" : "object");
  if (about === "object") return undefined;
  const keys = about === "pairs" ? values.filter((_, at) => at % 2 === 0) : values.slice(0, 1);
  return keys.map(keyText);
}

/** What of an operation is about one key: of many pairs that are set, the last one of it. */
export function partOf(request: OperationRequest, wanted: string): OperationRequest {
  const { verb, object, values = [] } = request;
  if (verb !== "dict-set" || values.length <= 2) return request;
  for (let at = values.length - 2; at >= 0; at -= 2) {
    const pair = values.slice(at, at + 2);
    if (pair[0] !== undefined && keyText(pair[0]) === wanted) return { verb, object, values: pair };
  }
  return request;
}
