/** Reading tables of a FlatBuffer by field number, as far as a TensorFlow Lite model needs it. */
export class Table {
  constructor(
    private readonly view: DataView,
    private readonly at: number,
  ) {}

  static root(view: DataView): Table {
    return new Table(view, view.getUint32(0, true))
  }

  /** The position of a field's value, or 0 if the table omits the field. */
  private field(number: number): number {
    const vtable = this.at - this.view.getInt32(this.at, true)
    const slot = 4 + 2 * number
    if (slot >= this.view.getUint16(vtable, true)) return 0
    const offset = this.view.getUint16(vtable + slot, true)
    return offset && this.at + offset
  }

  byte(number: number): number {
    const at = this.field(number)
    return at ? this.view.getInt8(at) : 0
  }

  integer(number: number, absent = 0): number {
    const at = this.field(number)
    return at ? this.view.getInt32(at, true) : absent
  }

  table(number: number): Table | undefined {
    const at = this.field(number)
    return at ? new Table(this.view, at + this.view.getUint32(at, true)) : undefined
  }

  tables(number: number): Table[] {
    const [first, length] = this.vector(number)
    return Array.from({ length }, (_, i) => {
      const at = first + 4 * i
      return new Table(this.view, at + this.view.getUint32(at, true))
    })
  }

  integers(number: number): number[] {
    const [first, length] = this.vector(number)
    return Array.from({ length }, (_, i) => this.view.getInt32(first + 4 * i, true))
  }

  bytes(number: number): Uint8Array {
    const [first, length] = this.vector(number)
    return new Uint8Array(this.view.buffer, this.view.byteOffset + first, length)
  }

  private vector(number: number): [first: number, length: number] {
    const at = this.field(number)
    if (!at) return [0, 0]
    const vector = at + this.view.getUint32(at, true)
    return [vector + 4, this.view.getUint32(vector, true)]
  }
}
