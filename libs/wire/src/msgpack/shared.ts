/** Under this name an object says that it is shared: it travels as a reference. The same in every copy of this module in a process. */
export const shared: unique symbol = Symbol.for("heddle.shared");

/** What a reference says: enough to make a live handle of the object elsewhere. Its fields are values. */
export interface SharedDescription {
  /** What the object is: "dict", "list", "lock", ... */
  readonly kind: string;
  /** Its id at the manager: 32 hex digits, or "@" and its name. */
  readonly object: string;
  readonly [option: string]: unknown;
}

/** A handle of a shared object. */
export interface Shared {
  /** Called when the handle is about to travel: that is a use of the object. */
  [shared](): SharedDescription;
  /** While the manager has not said that the object is there: resolves when it has, rejects when it cannot be made. Whoever ships a handle waits for it. */
  readonly pending?: Promise<unknown> | undefined;
  /** Called after `pending` by whoever throws the description away and asks for it again: once for each. What the call did counts for the next one. */
  askedAgain?(): void;
}

/** A reference that nobody made a live handle of: it travels on as it came. */
export class SharedReference implements Shared {
  readonly description: SharedDescription;

  constructor(description: SharedDescription) {
    this.description = description;
  }

  [shared](): SharedDescription {
    return this.description;
  }
}

/** Whether it is a handle of a shared object, or a reference to one. */
export function isShared(value: object): value is Shared {
  return typeof (value as Partial<Shared>)[shared] === "function";
}

/** What a reference holds, checked; undefined for what is no description. */
export function sharedDescription(value: unknown): SharedDescription | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { kind, object } = value as Partial<SharedDescription>;
  return typeof kind === "string" && typeof object === "string" ? (value as SharedDescription) : undefined;
}
