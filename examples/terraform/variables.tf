variable "name" {
  description = "What everything is called."
  type        = string
  default     = "hello"
}

variable "region" {
  type    = string
  default = "us-east-1"
}

variable "cidr" {
  description = "The VPC's block; its subnets are cut out of it."
  type        = string
  default     = "10.60.0.0/16"
}

variable "image_tag" {
  description = "Which image of the repository runs."
  type        = string
  default     = "1"
}

variable "cpu_architecture" {
  description = "X86_64 or ARM64: what the image was built for, and on Gantry what the machine is."
  type        = string
  default     = "X86_64"
}

variable "tasks" {
  description = "How few and how many tasks automatic scaling may run."
  type        = object({ least = number, most = number })
  default     = { least = 2, most = 6 }
}
