import { Dict } from "./dict.ts";
import type { Kinds } from "./home.ts";
import { List } from "./list.ts";
import { Namespace } from "./namespace.ts";
import { SharedArray } from "./shared-array.ts";
import { Value } from "./value.ts";

/** Every kind of shared object that handles are made of. */
export const KINDS: Kinds = {
  dict: Dict.revive,
  list: List.revive,
  namespace: Namespace.revive,
  value: Value.revive,
  array: SharedArray.revive,
};
