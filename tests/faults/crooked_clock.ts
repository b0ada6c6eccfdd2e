/**
 * A wall clock that can be set for one process: a small library between a program and the C library. A container has no
 * other way: the system's clock is everybody's, and time namespaces leave the wall clock alone.
 *
 * @module
 */

import { isOnPath, run, type TemporaryFolder, temporaryFolder } from "../support/process.ts";

/** The offset in seconds lies in a file that both processes map. The monotonic clocks stay as they are. */
const SOURCE = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile const int64_t *offset;
static int (*real_clock_gettime)(clockid_t, struct timespec *);

__attribute__((constructor)) static void prepare(void) {
  real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
  const char *path = getenv("CROOKED_CLOCK");
  int file = path ? open(path, O_RDONLY) : -1;
  if (file < 0) return;
  void *memory = mmap(NULL, sizeof *offset, PROT_READ, MAP_SHARED, file, 0);
  if (memory != MAP_FAILED) offset = memory;
  close(file);
}

int clock_gettime(clockid_t id, struct timespec *now) {
  if (!real_clock_gettime) prepare();
  int result = real_clock_gettime(id, now);
  if (result == 0 && offset && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) now->tv_sec += *offset;
  return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  (void)zone;
  struct timespec precise;
  if (clock_gettime(CLOCK_REALTIME, &precise) != 0) return -1;
  now->tv_sec = precise.tv_sec;
  now->tv_usec = precise.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *out) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (out) *out = now.tv_sec;
  return now.tv_sec;
}
`;

/** See the module. */
export class CrookedClock implements AsyncDisposable {
  /** For the process whose clock it is to be. */
  readonly env: Record<string, string>;
  readonly #folder: TemporaryFolder;
  readonly #offsetPath: string;

  private constructor(folder: TemporaryFolder) {
    this.#folder = folder;
    this.#offsetPath = `${folder.path}/offset`;
    this.env = { LD_PRELOAD: `${folder.path}/clock.so`, CROOKED_CLOCK: this.#offsetPath };
  }

  /** Why there can be none here; undefined when there can. */
  static get obstacle(): string | undefined {
    if (Deno.build.os !== "linux") return "setting one process's clock works on Linux only";
    return isOnPath("cc") ? undefined : "setting one process's clock needs a C compiler (cc)";
  }

  /** A clock that is right for the time being. */
  static async make(): Promise<CrookedClock> {
    const clock = new CrookedClock(await temporaryFolder());
    const { path } = clock.#folder;
    await Deno.writeTextFile(`${path}/clock.c`, SOURCE);
    clock.set(0);
    const args = ["-shared", "-fPIC", "-O1", "-o", `${path}/clock.so`, `${path}/clock.c`, "-ldl"];
    const { code, stderr } = await run("cc", args);
    if (code !== 0) throw new Error(`The clock cannot be compiled: ${stderr}`);
    return clock;
  }

  /** Sets the clock to so many seconds from the right time. */
  set(offsetSeconds: number): void {
    // The same file stays mapped: it must be written over and not made anew.
    using file = Deno.openSync(this.#offsetPath, { write: true, create: true });
    file.writeSync(new Uint8Array(new BigInt64Array([BigInt(offsetSeconds)]).buffer));
  }

  /** Removes its files. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#folder[Symbol.asyncDispose]();
  }
}
