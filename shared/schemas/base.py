"""Base classes of the schemas of the API and of the broker."""

import json
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema


class Schema(BaseModel):
    """Base of every schema: immutable, without unknown fields; whatever is served names all of its fields."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        ser_json_inf_nan="null",
        json_schema_serialization_defaults_required=True,
    )

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Leave defaults out: they are this code's, not the client's, and next to a `$ref` they confuse generators."""
        described = handler(core_schema)
        for field in handler.resolve_ref_schema(described).get("properties", {}).values():
            field.pop("default", None)
        return described

    def as_json(self) -> dict[str, Any]:
        """Return plain values that JSON can hold; NaN and infinities become None.

        `model_dump(mode="json")` keeps NaN, which `json.dumps` writes as a word that is not JSON.
        """
        values: dict[str, Any] = json.loads(self.model_dump_json())
        return values

    def fields_by_name(self) -> dict[str, Any]:
        """Return the fields that are present, by their names, in the order of the schema."""
        return {name: self.__dict__[name] for name in type(self).model_fields if name in self.__dict__}

    @classmethod
    def read(cls, text: str) -> Self:
        """Parse JSON that another process of this service wrote into the broker; fields of later releases are ignored.

        Raises:
            pydantic.ValidationError: the text is not JSON of this schema.
        """
        return cls.model_validate_json(text, extra="ignore")


#: The default of a field that `PartialSchema` leaves out; typed so that a field that is present needs no test for None.
ABSENT: Final[Any] = None


class PartialSchema(Schema):
    """A schema whose fields may be absent: an absent field is left out of the JSON, a field that is None is null."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=False)

    @model_validator(mode="after")
    def _leave_out_absent_fields(self) -> Self:
        for name in type(self).model_fields.keys() - self.model_fields_set:
            self.__dict__.pop(name, None)
        return self
