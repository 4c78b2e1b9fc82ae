/**
 * Runs a small TensorFlow Lite network (float16 weights, the nine operators that BlazeFace is made of) on plain typed
 * arrays.
 *
 * The package that ships the model brings 6 MB of WebAssembly whose glue code calls `new Function`, which a strict
 * content security policy forbids. This needs neither, nor a GPU that the video encoder may be using.
 */
import { Table } from './flatbuffer'

/** Values by [height, width, channel]; vectors have height and width of one. */
export interface Tensor {
  readonly data: Float32Array
  readonly height: number
  readonly width: number
  readonly channels: number
}

/** Operator numbers of the TensorFlow Lite schema. */
const ADD = 0
const CONCATENATION = 2
const CONV_2D = 3
const DEPTHWISE_CONV_2D = 4
const DEQUANTIZE = 6
const MAX_POOL_2D = 17
const RELU = 19
const RESHAPE = 22
const PAD = 34
const FLOAT16 = 1
const SAME_PADDING = 0

interface Operator {
  readonly code: number
  readonly inputs: readonly number[]
  readonly output: number
  readonly stride: number
  readonly samePadding: boolean
}

interface Shape {
  readonly shape: readonly number[]
}

export class Network {
  private constructor(
    private readonly operators: readonly Operator[],
    private readonly constants: ReadonlyMap<number, Float32Array>,
    private readonly shapes: readonly Shape[],
    private readonly input: number,
    private readonly outputs: readonly number[],
  ) {}

  /** Throws where the file is not such a model. */
  static read(file: ArrayBuffer): Network {
    const model = Table.root(new DataView(file))
    const [graph] = model.tables(2)
    if (!graph) throw new Error('the model has no graph')
    const codes = model.tables(1).map((code) => Math.max(code.byte(0), code.integer(3)))
    const buffers = model.tables(4)
    const tensors = graph.tables(0)
    const constants = new Map<number, Float32Array>()
    tensors.forEach((tensor, index) => {
      const bytes = buffers[tensor.integer(2)]?.bytes(0)
      if (bytes?.length && tensor.byte(1) === FLOAT16) constants.set(index, fromHalves(bytes))
    })
    const operators: Operator[] = []
    for (const table of graph.tables(3)) {
      const code = codes[table.integer(0)] ?? -1
      const inputs = table.integers(1)
      const output = table.integers(2)[0] ?? -1
      const options = table.table(4)
      if (code === DEQUANTIZE) {
        const constant = constants.get(inputs[0] ?? -1)
        if (!constant) throw new Error('the model dequantizes something that is not a constant')
        constants.set(output, constant)
      } else {
        operators.push({
          code,
          inputs,
          output,
          stride:
            options && (code === CONV_2D || code === DEPTHWISE_CONV_2D || code === MAX_POOL_2D)
              ? options.integer(2, 1)
              : 1,
          samePadding: options?.byte(0) === SAME_PADDING,
        })
      }
    }
    const shapes = tensors.map((tensor) => ({ shape: tensor.integers(0) }))
    return new Network(operators, constants, shapes, graph.integers(1)[0] ?? -1, graph.integers(2))
  }

  /** The network's outputs for one picture, in the order that the model declares. */
  run(picture: Tensor): Tensor[] {
    const values = new Map<number, Tensor>([[this.input, picture]])
    const value = (index: number | undefined): Tensor => {
      const found = values.get(index ?? -1)
      if (!found) throw new Error('the model uses a value before it is made')
      return found
    }
    const constant = (index: number | undefined): Float32Array => {
      const found = this.constants.get(index ?? -1)
      if (!found) throw new Error('the model lacks weights')
      return found
    }
    for (const { code, inputs, output, stride } of this.operators) {
      const [a, b, c] = inputs
      switch (code) {
        case CONV_2D:
          values.set(output, convolve(value(a), constant(b), constant(c), this.side(b), stride))
          break
        case DEPTHWISE_CONV_2D:
          values.set(output, convolveEach(value(a), constant(b), constant(c), this.side(b), stride))
          break
        case MAX_POOL_2D:
          values.set(output, poolByTwo(value(a)))
          break
        case ADD:
          values.set(output, add(value(a), value(b)))
          break
        case RELU:
          values.set(output, rectify(value(a)))
          break
        case PAD:
          values.set(output, padChannels(value(a), this.shapes[output]?.shape[3] ?? 0))
          break
        case RESHAPE:
          values.set(output, value(a))
          break
        case CONCATENATION:
          values.set(output, join(value(a), value(b)))
          break
        default:
          throw new Error(`the model uses operator ${code}, which is not known here`)
      }
    }
    return this.outputs.map(value)
  }

  /** The side of a kernel: weights are [out, height, width, in]. */
  private side(weights: number | undefined): number {
    return this.shapes[weights ?? -1]?.shape[1] ?? 1
  }
}

/** IEEE half precision, two bytes a value, little-endian. */
function fromHalves(bytes: Uint8Array): Float32Array {
  const out = new Float32Array(bytes.length / 2)
  for (let i = 0; i < out.length; i++) {
    const half = (bytes[2 * i] as number) | ((bytes[2 * i + 1] as number) << 8)
    const exponent = (half >> 10) & 31
    const fraction = half & 1023
    const size = exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : (fraction / 1024) * 2 ** -14
    out[i] = half & 0x8000 ? -size : size
  }
  return out
}

/** "Same" padding puts the odd pixel at the bottom right. */
function before(input: number, output: number, kernel: number, stride: number): number {
  return Math.max(0, (output - 1) * stride + kernel - input) >> 1
}

/** Weights are [out, height, width, in]. */
function convolve(input: Tensor, weights: Float32Array, bias: Float32Array, kernel: number, stride: number): Tensor {
  const channels = bias.length
  const height = Math.ceil(input.height / stride)
  const width = Math.ceil(input.width / stride)
  const patches = kernel === 1 ? input.data : gather(input, height, width, kernel, stride)
  const size = kernel * kernel * input.channels
  const out = new Float32Array(height * width * channels)
  for (let pixel = 0; pixel < height * width; pixel += 2) products(patches, size, weights, bias, out, pixel)
  return { data: out, height, width, channels }
}

/** What the kernel sees at each pixel of the output, one row a pixel; zero beyond the edges. */
function gather(input: Tensor, height: number, width: number, kernel: number, stride: number): Float32Array {
  const { channels, data } = input
  const top = before(input.height, height, kernel, stride)
  const left = before(input.width, width, kernel, stride)
  const out = new Float32Array(height * width * kernel * kernel * channels)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const firstX = Math.max(0, left - x * stride)
      const lastX = Math.min(kernel, input.width + left - x * stride)
      for (let ky = 0; ky < kernel; ky++) {
        const fromY = y * stride + ky - top
        if (fromY < 0 || fromY >= input.height) continue
        const read = (fromY * input.width + x * stride + firstX - left) * channels
        const write = (((y * width + x) * kernel + ky) * kernel + firstX) * channels
        out.set(data.subarray(read, read + (lastX - firstX) * channels), write)
      }
    }
  }
  return out
}

/**
 * The sums of two neighbouring pixels, four channels a pass: eight running sums, so that no addition waits for the one
 * before, and each number that is read serves several of them. Pixels and channels come in even numbers here.
 */
function products(
  patches: Float32Array,
  size: number,
  weights: Float32Array,
  bias: Float32Array,
  out: Float32Array,
  pixel: number,
): void {
  const channels = bias.length
  const left = pixel * size
  const right = left + size
  let o = 0
  for (; o + 4 <= channels; o += 4) {
    let at = o * size
    let a0 = bias[o]!
    let b0 = bias[o + 1]!
    let c0 = bias[o + 2]!
    let d0 = bias[o + 3]!
    let [a1, b1, c1, d1] = [a0, b0, c0, d0]
    for (let i = 0; i < size; i++, at++) {
      const p = patches[left + i]!
      const q = patches[right + i]!
      const a = weights[at]!
      const b = weights[at + size]!
      const c = weights[at + 2 * size]!
      const d = weights[at + 3 * size]!
      a0 += p * a
      b0 += p * b
      c0 += p * c
      d0 += p * d
      a1 += q * a
      b1 += q * b
      c1 += q * c
      d1 += q * d
    }
    const write = pixel * channels + o
    out[write] = a0
    out[write + 1] = b0
    out[write + 2] = c0
    out[write + 3] = d0
    out[write + channels] = a1
    out[write + channels + 1] = b1
    out[write + channels + 2] = c1
    out[write + channels + 3] = d1
  }
  for (; o < channels; o++) {
    for (let side = 0; side < 2; side++) {
      const first = side ? right : left
      let sum = bias[o]!
      for (let i = 0; i < size; i++) sum += patches[first + i]! * weights[o * size + i]!
      out[(pixel + side) * channels + o] = sum
    }
  }
}

/** Each channel by itself; weights are [1, height, width, channel]. */
function convolveEach(
  input: Tensor,
  weights: Float32Array,
  bias: Float32Array,
  kernel: number,
  stride: number,
): Tensor {
  const { channels, data: from } = input
  const height = Math.ceil(input.height / stride)
  const width = Math.ceil(input.width / stride)
  const top = before(input.height, height, kernel, stride)
  const left = before(input.width, width, kernel, stride)
  const out = new Float32Array(height * width * channels)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const first = (y * width + x) * channels
      out.set(bias, first)
      for (let ky = 0; ky < kernel; ky++) {
        const fromY = y * stride + ky - top
        if (fromY < 0 || fromY >= input.height) continue
        for (let kx = 0; kx < kernel; kx++) {
          const fromX = x * stride + kx - left
          if (fromX < 0 || fromX >= input.width) continue
          let read = (fromY * input.width + fromX) * channels
          let weight = (ky * kernel + kx) * channels
          for (let write = first; write < first + channels; write++) out[write]! += from[read++]! * weights[weight++]!
        }
      }
    }
  }
  return { data: out, height, width, channels }
}

function poolByTwo({ data, height, width, channels }: Tensor): Tensor {
  const row = width * channels
  const out = new Float32Array(data.length / 4)
  let write = 0
  for (let y = 0; y < height; y += 2) {
    for (let x = 0; x < width; x += 2) {
      let read = y * row + x * channels
      for (let c = 0; c < channels; c++, read++) {
        out[write++] = Math.max(data[read]!, data[read + channels]!, data[read + row]!, data[read + row + channels]!)
      }
    }
  }
  return { data: out, height: height / 2, width: width / 2, channels }
}

function add(a: Tensor, b: Tensor): Tensor {
  const data = new Float32Array(a.data.length)
  for (let i = 0; i < data.length; i++) data[i] = a.data[i]! + b.data[i]!
  return { ...a, data }
}

function rectify(input: Tensor): Tensor {
  const data = new Float32Array(input.data.length)
  for (let i = 0; i < data.length; i++) data[i] = Math.max(0, input.data[i]!)
  return { ...input, data }
}

function padChannels({ data, height, width, channels }: Tensor, wanted: number): Tensor {
  const out = new Float32Array(height * width * wanted)
  for (let p = 0; p < height * width; p++) out.set(data.subarray(p * channels, (p + 1) * channels), p * wanted)
  return { data: out, height, width, channels: wanted }
}

function join(a: Tensor, b: Tensor): Tensor {
  const data = new Float32Array(a.data.length + b.data.length)
  data.set(a.data)
  data.set(b.data, a.data.length)
  return { data, height: 1, width: 1, channels: data.length }
}
