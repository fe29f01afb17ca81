/** What can stand in a line: its links, written by the line alone. */
export interface Standing<T extends Standing<T>> {
  line: Line<T> | undefined;
  previous: T | undefined;
  next: T | undefined;
}

/** Those who wait, first come first: each may leave from wherever it stands. An element stands in one line at a time. */
export class Line<T extends Standing<T>> implements Iterable<T> {
  #first: T | undefined;
  #last: T | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get first(): T | undefined {
    return this.#first;
  }

  push(element: T): void {
    element.line = this;
    element.previous = this.#last;
    element.next = undefined;
    if (this.#last === undefined) this.#first = element;
    else this.#last.next = element;
    this.#last = element;
    this.#size++;
  }

  /** It must stand in this line. */
  remove(element: T): void {
    const { previous, next } = element;
    if (previous === undefined) this.#first = next;
    else previous.next = next;
    if (next === undefined) this.#last = previous;
    else next.previous = previous;
    element.line = undefined;
    element.previous = undefined;
    element.next = undefined;
    this.#size--;
  }

  /** In order; the element given last may leave meanwhile. */
  *[Symbol.iterator](): Iterator<T> {
    let element = this.#first;
    while (element !== undefined) {
      const { next } = element;
      yield element;
      element = next;
    }
  }
}
