/** The part of the WebAssembly interface the checksum uses; no library in `tsconfig.json` has it. */
declare namespace WebAssembly {
  class Module {
    constructor(bytes: Uint8Array<ArrayBuffer>)
  }
  class Instance {
    constructor(module: Module)
    readonly exports: Readonly<Record<string, unknown>>
  }
  class Memory {
    readonly buffer: ArrayBuffer
  }
  function validate(bytes: Uint8Array<ArrayBuffer>): boolean
}
