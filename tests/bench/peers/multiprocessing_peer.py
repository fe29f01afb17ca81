"""The benchmarks of tests/bench in Python's multiprocessing, standard library only. Prints one JSON object of seconds."""

import json
import multiprocessing
import sys
import time


def noop(x):
    return x


def cube(x):
    return x**3


def is_prime(n):
    if n < 2:
        return False
    divisor = 2
    while divisor * divisor <= n:
        if n % divisor == 0:
            return False
        divisor += 1
    return True


def timed(run):
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def drain(iterator):
    for _ in iterator:
        pass


def main(sizes):
    with multiprocessing.Pool(2) as pool:
        pool.map(noop, range(1000))
        trips = sorted(timed(lambda: pool.apply(noop, (1,))) for _ in range(sizes["applies"]))
        print(
            json.dumps(
                {
                    "noop": timed(lambda: drain(pool.imap(noop, range(sizes["noops"]), chunksize=1))),
                    "apply": trips[len(trips) // 2],
                    "cubes": timed(lambda: pool.map(cube, range(sizes["cubes"]))),
                    "primes": timed(lambda: pool.map(is_prime, range(sizes["primes"]))),
                }
            )
        )


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
