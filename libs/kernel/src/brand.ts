/** A primitive that carries a name at compile time, so that ids of different things cannot be mixed. */
export type Brand<T, Name extends string> = T & { readonly __brand: Name };
